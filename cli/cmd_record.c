/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu record: sample guests, their host side or the whole host into a perf.data file. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "command.h"
#include "guest_names.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "output.h"
#include "progress.h"
#include "record_remote.h"
#include "record_summary.h"
#include "remote.h"
#include "sides.h"
#include "text.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_session *, vpmu_session_free)

struct record_args {
	struct common_args common;
	struct remote_args remote;
	struct side_args side;
	const char *events, *output;
	uint64_t frequency_hz, period, duration_ns, guest_stack_bytes;
	bool chains, all_cpus, whole_process, no_symbols;
	struct guest_file_args files;
};

#define FIELD(name) offsetof(struct record_args, name)

static const struct option_spec record_options[] = {
	{ .letter = 'e', .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(events),
	  .help = "what to sample: one or more names, with commas between (default: the best source that "
		  "'vpmu doctor' finds)" },
	{ .letter = 'F', .name = "frequency", .arg = "HZ", .set = option_u64, .min = 1, .max = 1000000,
	  .offset = FIELD(frequency_hz), .help = "samples a second of each thread (default 999)" },
	{ .letter = 'c', .name = "period", .arg = "COUNT", .set = option_u64, .min = 1, .max = INT64_MAX,
	  .offset = FIELD(period), .alternative = true,
	  .help = "a sample every COUNT events (nanoseconds for clocks)" },
	{ .letter = 'g', .name = "chains", .set = option_flag, .max = 1, .offset = FIELD(chains),
	  .help = "record call chains, of the host and (by frame pointers) of the guests" },
	{ .letter = 'd', .name = "duration", .arg = "TIME", .set = option_duration_ns,
	  .offset = FIELD(duration_ns),
	  .help = "stop after TIME: 10s, 2m, 500ms, 1h (default: at ^C, or when the guests are gone)" },
	{ .letter = 'o', .name = "output", .arg = "FILE", .set = option_string, .offset = FIELD(output),
	  .help = "the recording (default perf.data.kvm; perf.data.guest or perf.data.host for one side); "
		  "an existing one is renamed to FILE.old" },
	{ .letter = 'a', .name = "all-cpus", .set = option_flag, .max = 1, .offset = FIELD(all_cpus),
	  .help = "everything that runs on the host's CPUs; no GUEST is needed" },
	{ .name = "whole-process", .set = option_flag, .max = 1, .offset = FIELD(whole_process),
	  .help = "all threads of the guest's process, not only its vCPUs" },
	{ .name = "guest-root", .arg = "[GUEST=]DIR", .set = option_name_list, .offset = FIELD(files.roots),
	  .help = "a directory with the guest's files: names its programs, and tells how to unwind those without frame pointers" },
	{ .name = "guest-stack", .arg = "BYTES", .set = option_u64, .min = 256, .max = 16384, .offset = FIELD(guest_stack_bytes),
	  .help = "with --guest-root: so much of a program's stack comes with each sample (default 8192)" },
	{ .name = "no-symbols", .set = option_flag, .max = 1, .offset = FIELD(no_symbols),
	  .help = "leave symbol tables out of the file: smaller, but of use on this machine and boot only" },
	{},
};

static const char *default_output(unsigned int sides)
{
	if (sides == VPMU_SIDES_GUEST)
		return "perf.data.guest";
	return sides == VPMU_SIDES_HOST ? "perf.data.host" : "perf.data.kvm";
}

/* "vpmu record …" for the file's header. */
static void add_cmdline(const struct record_args *args, const struct name_list *operands, struct strbuf *out)
{
	strbuf_adds(out, "vpmu record");
	if (args->side.sides == VPMU_SIDES_GUEST)
		strbuf_adds(out, " --guest");
	if (args->side.sides == VPMU_SIDES_HOST)
		strbuf_adds(out, " --host");
	if (args->events)
		strbuf_addf(out, " -e %s", args->events);
	if (args->period)
		strbuf_addf(out, " -c %" PRIu64, args->period);
	if (args->frequency_hz)
		strbuf_addf(out, " -F %" PRIu64, args->frequency_hz);
	if (args->chains)
		strbuf_adds(out, " -g");
	if (args->all_cpus)
		strbuf_adds(out, " -a");
	if (args->whole_process)
		strbuf_adds(out, " --whole-process");
	for (size_t i = 0; i < args->files.roots.n; i++)
		strbuf_addf(out, " --guest-root %s", args->files.roots.items[i]);
	for (size_t i = 0; i < operands->n; i++)
		strbuf_addf(out, " %s", operands->items[i]);
}

static int open_session(const struct record_args *args, const struct name_list *operands,
			const struct vpmu_guests *guests, const char *path,
			struct vpmu_session **ret_session, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_session_opts, opts, .sides = args->side.sides, .events = args->events,
		  .frequency_hz = (uint32_t)args->frequency_hz, .period = args->period,
		  .host_chains = args->chains, .guest_chains = args->chains,
		  .guest_stack_bytes = (uint32_t)args->guest_stack_bytes);
	VPMU_OPTS(vpmu_record_opts, record_opts, .no_symbols = args->no_symbols);
	_cleanup_(vpmu_session_freep) struct vpmu_session *session = NULL;
	_strbuf_ struct strbuf cmdline = {};
	int r;

	r = vpmu_session_new(&opts, &session, reterr);
	for (size_t i = 0; r >= 0 && i < operands->n; i++) {
		const struct vpmu_guest_info *guest = NULL;

		r = vpmu_guests_find(guests, operands->items[i], &guest, reterr);
		if (r >= 0)
			r = vpmu_session_add_guest(session, guest, args->whole_process, reterr);
	}
	if (r >= 0 && args->all_cpus)
		r = vpmu_session_add_cpus(session, reterr);
	if (r >= 0)
		r = guest_files_name_live(&args->files, session, guests, reterr);
	if (r < 0)
		return r;
	add_cmdline(args, operands, &cmdline);
	record_opts.cmdline = cmdline.failed ? NULL : cmdline.text;
	/*
	 * Last, when nothing stands in the way any more: this is where an older file is moved out
	 * of the way.
	 */
	r = vpmu_session_record(session, path, &record_opts, reterr);
	if (r >= 0)
		r = vpmu_session_start(session, reterr);
	if (r < 0)
		return r;
	*ret_session = take_ptr(session);
	return 0;
}

static void show_progress(struct progress *progress, const struct vpmu_session *session)
{
	struct vpmu_coverage coverage;

	if (!progress_due(progress))
		return;
	vpmu_session_coverage(session, &coverage);
	progress_show(progress,
		      "recording: %" PRIu64 " s, %" PRIu64 " sample%s (guest %" PRIu64 "), %" PRIu64 " lost",
		      (now_ns() - progress->begin_ns) / 1000000000, coverage.samples,
		      text_s(coverage.samples), vpmu_coverage_guest(&coverage), coverage.lost);
}

/*
 * Until the time is over, a signal came, or nothing is left to record. *ret_gone: the guests are
 * gone.
 */
static int record(struct vpmu_session *session, uint64_t duration_ns, bool *ret_gone,
		  struct vpmu_error *reterr)
{
	_progress_ struct progress progress;
	uint64_t begin_ns = now_ns();

	progress_begin(&progress);
	*ret_gone = false;
	while (!interrupted) {
		uint64_t passed_ns = now_ns() - begin_ns;
		/* Short enough for a signal that came just before the wait to be noticed soon. */
		uint64_t wait_ns = 100000000;
		ssize_t n;

		if (duration_ns && passed_ns >= duration_ns)
			return 0;
		if (duration_ns)
			wait_ns = MIN(wait_ns, duration_ns - passed_ns);
		n = vpmu_session_poll(session, (int)((wait_ns + 999999) / 1000000), reterr);
		if (n == -ESRCH) {
			*ret_gone = true;
			return 0;
		}
		if (n < 0)
			return (int)n;
		show_progress(&progress, session);
	}
	return 0;
}

static void sum_up(const struct vpmu_session *session, struct record_summary *summary)
{
	const struct vpmu_guest_info *guest;

	vpmu_session_coverage(session, &summary->coverage);
	summary->recorded = vpmu_session_recorded(session);
	summary->named_events = vpmu_session_source(session) == VPMU_SOURCE_EVENTS;
	for (size_t i = 0; (guest = vpmu_session_guest(session, i)); i++)
		record_summary_guest(summary, guest);
}

static enum status record_local(const struct record_args *args, const struct name_list *operands, const char *path)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_session_freep) struct vpmu_session *session = NULL;
	struct vpmu_error error = {}, stop_error = {};
	struct record_summary summary = { .path = path, .whole_host = args->all_cpus };
	uint64_t begin_ns;
	int r, stopped;

	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n && !args->all_cpus)
		return say_which_guest(guests, "; -a records the whole host");
	if (open_session(args, operands, guests, path, &session, &error) < 0)
		return say_error(&error);

	begin_ns = now_ns();
	r = record(session, args->duration_ns, &summary.guests_gone, &error);
	summary.elapsed_ns = now_ns() - begin_ns;
	stopped = vpmu_session_stop(session, &stop_error);
	summary.wants_guest = operands->n && (!args->side.sides || args->side.sides & VPMU_SIDES_GUEST);
	sum_up(session, &summary);
	if (args->common.json)
		record_summary_json(&summary);
	else
		record_summary_text(&summary);
	if (r < 0)
		return say_error(&error);
	return stopped < 0 ? say_error(&stop_error) : STATUS_DONE;
}

static enum status run_record(const void *opaque, const struct name_list *operands)
{
	const struct record_args *args = opaque;
	const char *path = args->output ? args->output : default_output(args->side.sides);
	const struct record_remote_args remote = {
		.events = args->events, .sides = args->side.sides, .frequency_hz = args->frequency_hz,
		.period = args->period, .duration_ns = args->duration_ns, .chains = args->chains,
		.whole_process = args->whole_process, .json = args->common.json, .path = path,
		.socket = args->remote.socket,
	};
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	enum status status = STATUS_DONE;

	if (args->frequency_hz && args->period)
		return say_usage("-F and -c exclude each other");
	if (args->output && streq(args->output, "-"))
		return say_usage("-o needs a file: a recording is no stream, standard output cannot take it");
	/* vpmud records guests only, and always with what names them; it takes no files. */
	if ((args->files.types.n || args->files.roots.n) && args->remote.socket)
		return say_usage("--%s is of what vpmu records by itself, without vpmud", args->files.types.n ? "guest-vmlinux" : "guest-root");
	if (!args->all_cpus && !args->no_symbols && !args->files.types.n && !args->files.roots.n)
		status = remote_open(&args->remote, 0, &client);
	if (status != STATUS_DONE)
		return status;
	if (client && !operands->n)
		return say_which_remote_guest(client);
	interrupt_catch();
	signal(SIGPIPE, SIG_IGN); /* nobody reads the progress any more: no reason to lose a recording */
	return client ? record_remote(client, operands, &remote) : record_local(args, operands, path);
}

const struct command command_record = {
	.name = "record",
	.summary = "profile guests into a perf.data file",
	.operands = "[GUEST...]",
	.groups = (const struct option_group[]){
		{ side_options, FIELD(side) },
		{ record_options, 0 },
		{ guest_types_options, FIELD(files) },
		{ remote_options, FIELD(remote) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct record_args),
	.run = run_record,
};
