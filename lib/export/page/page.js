/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands around the graph, and what the reader does with it. */
const find = id => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function element(tag, text, css_class) {
	const made = document.createElement(tag);

	made.textContent = text ?? "";
	if (css_class)
		made.className = css_class;
	return made;
}

/* ---- detail ---- */

function add_figures(table, head, ...cells) {
	const row = element("tr");

	row.append(element("th", head), ...cells.map(cell => element("td", cell)));
	table.append(row);
}

function add_comparison(table, i) {
	const [base, other] = graph.measures, change = change_of(i), [low, high] = [0, 1].map(k => graph.bounds[2 * i + k]);

	graph.measures.forEach((measure, m) => {
		add_figures(table, measure.name, percent(graph.total[m][i] / graph.total[m][0]),
			amount(graph.total[m][i], "") + " samples", "self " + amount(graph.self[m][i], ""));
	});
	add_figures(table, "change", points(change) + " points", points(low) + " to " + points(high),
		is_significant(i) ? (!graph.total[0][i] ? "not in " + base.name : !graph.total[1][i] ? "not in " + other.name : "") :
			"no more than noise");
}

/* What of a node is in frames that were left out. */
function missing_in(i) {
	const self = graph.self[state.measure];
	let missing = graph.total[state.measure][i];

	for (let k = i; k < graph.end[i]; k++)
		missing -= self[k];
	return missing;
}

function fill_detail(i) {
	const frame = graph.frames[graph.frame[i]], table = element("table"), box = find("detail");
	const kind = KIND_NAMES[frame.kind];

	box.replaceChildren(element("h2", frame.name));
	if (frame.kind !== KIND_LABEL)
		box.append(element("p", kind + (frame.file ? " \u00b7 " + frame.file : "")));
	if (frame.status !== "ok")
		box.append(element("p", STATUS_TEXTS[frame.status] ?? frame.status, "warn"));
	if (graph.compares) {
		add_comparison(table, i);
	} else {
		graph.measures.forEach((measure, m) => {
			const total = graph.total[m], cells = [amount(total[i], measure.unit), percent(total[i] / total[0])];

			if (state.zoom)
				cells.push(percent(total[i] / total[state.zoom]) + " of view");
			cells.push("self " + amount(graph.self[m][i], measure.unit));
			add_figures(table, measure.name, ...cells);
		});
	}
	box.append(table);
	const missing = missing_in(i);

	if (missing > 0)
		box.append(element("p", amount(missing, graph.measures[state.measure].unit) + " of it in frames too small for this page"));
}

function show_detail(i, x, y) {
	const box = find("detail");

	box.hidden = i < 0;
	if (i < 0)
		return;
	fill_detail(i);
	box.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.offsetWidth - 8)) + "px";
	box.style.top = (y + 18 + box.offsetHeight < innerHeight ? y + 18 : Math.max(4, y - box.offsetHeight - 12)) + "px";
}

/* ---- zoom ---- */

let move = 0; /* the animation under way */

function window_of(i) {
	return [graph.left[i], graph.left[i] + (graph.total[state.measure][i] || 1)];
}

function move_to(i, at_once) {
	const from = [state.from, state.to], to = window_of(i), begun = performance.now(), mine = ++move;
	const step = now => {
		const t = at_once || calm.matches ? 1 : Math.min(1, (now - begun) / 140), eased = 1 - (1 - t) ** 3;

		if (mine !== move)
			return;
		state.from = from[0] + (to[0] - from[0]) * eased;
		state.to = from[1] + (to[1] - from[1]) * eased;
		draw();
		if (t < 1)
			requestAnimationFrame(step);
	};

	step(begun);
}

function show_path() {
	const path = [];

	for (let i = state.zoom; i >= 0; i = graph.parent[i])
		path.unshift(i);
	find("path").replaceChildren(...path.flatMap(i => {
		const name = graph.frames[graph.frame[i]].name;

		if (i === state.zoom)
			return [element("b", name), element("span", i ? " " +
				percent(graph.total[state.measure][i] / graph.total[state.measure][0]) + " of all" : " \u00b7 a click on a bar zooms")];
		const button = element("button", name);

		button.addEventListener("click", () => zoom_to(i));
		return [button, element("span", " \u203a ")];
	}));
	find("path").scrollLeft = find("path").scrollWidth;
	find("reset").disabled = !state.zoom && !find("search").value;
}

function zoom_to(i, at_once) {
	if (!graph.total[state.measure][i])
		i = 0;
	state.zoom = i;
	state.hover = -1;
	show_detail(-1);
	show_path();
	count_rows();
	show_row(i);
	show_found();
	move_to(i, at_once);
}

/* Rows of the frame and of what it called come into view. */
function show_row(i) {
	high = view.clientHeight;
	const y = y_of(graph.depth[i]);

	if (y < ROW || y > high - 2 * ROW)
		view.scrollTop += state.icicle ? y - 2 * ROW : y - high + 3 * ROW;
}

/* ---- search ---- */

let regexp = false;

function show_found() {
	const text = find("search").value, found = find("found");
	let pattern;

	found.className = "";
	state.matches = null;
	find("reset").disabled = !state.zoom && !text;
	if (!text) {
		found.textContent = "";
		return;
	}
	try {
		pattern = new RegExp(regexp ? text : text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "iu");
	} catch {
		found.className = "bad";
		found.textContent = "not a regular expression";
		return;
	}
	state.matches = graph.frames.map(f => pattern.test(f.name));
	const n = graph.frames.filter((f, i) => state.matches[i] && f.kind !== KIND_LABEL).length;
	const test = i => state.matches[graph.frame[i]], share = m => percent(share_of(test, state.zoom, m));

	found.textContent = (graph.compares ? share(0) + " \u2192 " + share(1) : share(state.measure)) +
		(state.zoom ? " of view" : "") + (graph.pruned[0] ? " at least" : "") + ` in ${n.toLocaleString("en-US")} function${n === 1 ? "" : "s"}`;
}

function set_regexp(on) {
	regexp = on;
	find("regexp").setAttribute("aria-pressed", on);
	show_found();
	redraw();
}

/* The next frame that matches, from left to right, row by row. */
function select_match(step) {
	const nodes = graph.rows.flat().filter(i => state.matches?.[graph.frame[i]]);

	if (nodes.length)
		select(nodes[(nodes.indexOf(state.selected) + step + nodes.length) % nodes.length]);
}

/* ---- keys ---- */

function select(i) {
	if (i === undefined || i < 0)
		return;
	const inside = state.zoom <= i && i < graph.end[state.zoom];

	for (let j = state.zoom; !inside && j !== i; j = graph.parent[j])
		if (j < 0) { /* neither below nor above what is shown */
			zoom_to(0, true);
			break;
		}
	state.selected = i;
	show_row(i);
	redraw();
	const box = view.getBoundingClientRect();

	show_detail(i, box.left + Math.max(0, Math.min(x_of(graph.left[i]), wide - 40)), box.top + y_of(graph.depth[i]));
}

function select_beside(step) {
	const i = Math.max(state.selected, 0), row = graph.rows[graph.depth[i]];

	select(row[row.indexOf(i) + step]);
}

function select_below() {
	const i = state.selected;

	select(i < 0 ? state.zoom : children(i).filter(c => graph.total[state.measure][c])
		.sort((a, b) => graph.left[a] - graph.left[b])[0]);
}

function flip() {
	state.icicle = !state.icicle;
	find("flip").textContent = state.icicle ? "Icicle" : "Flame";
	view.scrollTop = state.icicle ? 0 : room.offsetHeight;
	redraw();
}

function set_measure(m) {
	state.measure = m;
	find("measure").value = m;
	show_legend();
	show_notes();
	lay_out(m);
	zoom_to(state.zoom, true);
}

function reset() {
	find("search").value = "";
	find("search").blur();
	state.selected = -1;
	zoom_to(0);
	show_found();
}

function toggle_keys() {
	find("keys").hidden = !find("keys").hidden;
	find("help").setAttribute("aria-expanded", !find("keys").hidden);
	on_resize();
}

/* What was at the foot of the view stays there, or at its head. A view that grew was moved to the foot by the browser, if there was too little below. */
function on_resize() {
	const at_foot = room.offsetHeight - view.scrollTop - view.clientHeight <= 1;
	const below = at_foot ? 0 : room.offsetHeight - view.scrollTop - high;

	count_rows();
	if (!state.icicle)
		view.scrollTop = room.offsetHeight - view.clientHeight - below;
	redraw();
}

const KEYS = {
	"/": () => find("search").focus(), "?": toggle_keys, "0": reset, "Escape": reset,
	"i": flip, "r": () => set_regexp(!regexp), "w": () => set_measure((state.measure + 1) % graph.measures.length),
	"n": () => select_match(1), "N": () => select_match(-1),
	"u": () => zoom_to(Math.max(graph.parent[state.zoom], 0)),
	"Backspace": () => zoom_to(Math.max(graph.parent[state.zoom], 0)),
	"Enter": () => state.selected >= 0 && zoom_to(state.selected),
	"ArrowLeft": () => select_beside(-1), "ArrowRight": () => select_beside(1),
	"ArrowUp": () => state.icicle ? select(graph.parent[state.selected]) : select_below(),
	"ArrowDown": () => state.icicle ? select_below() : select(graph.parent[state.selected]),
};
const KEY_TEXTS = [["/", "search"], ["r", "regular expression"], ["n N", "next, previous match"],
	["\u2190 \u2191 \u2192 \u2193", "go from frame to frame"], ["Enter", "zoom to it"], ["u", "zoom out by one"], ["0 Escape", "show everything"],
	["i", "flame or icicle"], ["w", "width of bars"]];

function on_key(event) {
	const action = KEYS[event.key], in_field = event.target.matches?.("input, select");

	if (event.key === "f" && (event.ctrlKey || event.metaKey)) {
		find("search").select();
		event.preventDefault();
		return;
	}
	if (!action || event.ctrlKey || event.metaKey || event.altKey)
		return;
	if (in_field && event.key !== "Escape" && !(event.key === "Enter" && event.target === find("search")))
		return;
	if (event.key === "Enter" && event.target.matches?.("button"))
		return;
	if (in_field && event.key === "Enter")
		select_match(1);
	else
		action();
	event.preventDefault();
}

/* ---- legend ---- */

function swatch(paint, css_class) {
	const made = element("canvas", "", css_class), p = made.getContext("2d");

	made.width = css_class ? 240 : 28;
	made.height = 28;
	paint(p, made.width, made.height);
	return made;
}

function add_to_legend(name, share, paint, css_class) {
	const item = element("li");

	item.append(swatch(paint, css_class), element("b", name));
	if (share !== undefined)
		item.append(percent(share));
	find("legend").append(item);
}

function plain(colour) {
	return (p, w, h) => {
		p.fillStyle = colour;
		p.fillRect(0, 0, w, h);
	};
}

/* Of a profile: what share of the samples was in what the legend explains. */
function own_share(amounts, k) {
	const m = state.measure;

	return graph.kind === "profile" ? amounts[k * graph.measures.length + m] / graph.total[m][0] : undefined;
}

function explain_kinds() {
	const style = getComputedStyle(document.documentElement);

	for (let kind = 1; kind < KINDS.length; kind++)
		if (graph.frames.some(f => f.kind === kind && f.status !== "truncated"))
			add_to_legend(KIND_NAMES[kind], own_share(graph.kinds, kind), plain(style.getPropertyValue("--" + KINDS[kind])));
}

function explain_statuses() {
	const hatched = (p, w, h) => {
		plain(mixed(colours.label, colours.label, 0))(p, w, h);
		p.scale(2, 2);
		p.fillStyle = hatch;
		p.fillRect(0, 0, w, h);
	};
	const dashed = (p, w, h) => {
		p.strokeStyle = colours.faint;
		p.lineWidth = 2;
		p.setLineDash([6, 5]);
		p.strokeRect(1, 1, w - 2, h - 2);
	};

	if (graph.frames.some(is_unnamed))
		add_to_legend("without a name", own_share(graph.unnamed, 0), hatched);
	if (graph.frames.some(f => f.status === "truncated"))
		add_to_legend("call chain cut", share_of(i => graph.frames[graph.frame[i]].status === "truncated", 0, state.measure), dashed);
}

function show_legend() {
	find("legend").replaceChildren();
	if (graph.compares) {
		add_to_legend("smaller to larger share in " + graph.measures[1].name + (greatest ?
			", by up to " + greatest.toFixed(greatest < 1 ? 2 : 1) + " points" : ""), undefined, (p, w, h) => {
			for (let x = 0; x < w; x++) {
				p.fillStyle = greatest ? colour_of_change((2 * x / w - 1) * greatest) : mixed(colours.same, colours.same, 0);
				p.fillRect(x, 0, 1, h);
			}
		}, "scale");
		add_to_legend("no more than noise (95 %)", undefined, plain(mixed(colours.same, colours.same, 0)));
	} else {
		explain_kinds();
	}
	explain_statuses();
}

/* ---- the beginning ---- */

function show_notes() {
	const [pruned, ...amounts] = graph.pruned, notes = graph.notes.map(clean), m = state.measure;

	if (pruned)
		notes.push(`${pruned.toLocaleString("en-US")} frames too small to be seen are left out; ` +
			`${percent(amounts[m] / graph.total[m][0])} of ${graph.measures[m].name} ended in them`);
	if (graph.compares) {
		const gone = i => graph.total[1][i] === 0;

		notes.push(`${percent(share_of(gone, 0, 0))} of ${graph.measures[0].name} is in frames that ${graph.measures[1].name} does not have`,
			"by chance one unchanged bar in twenty has a colour");
	}
	notes.push("vpmu " + graph.version);
	find("notes").replaceChildren(...notes.map(note => element("p", note)));
}

function set_up() {
	find("title").textContent = clean(graph.title);
	find("source").textContent = [graph.source, graph.event].filter(Boolean).map(clean).join(" \u00b7 ");
	find("measure").replaceChildren(...graph.measures.map((measure, m) => {
		const option = element("option", "by " + measure.name);

		option.value = m;
		return option;
	}));
	find("measure").hidden = graph.measures.length < 2;
	find("flip").textContent = "Flame";
	find("keys").replaceChildren(...KEY_TEXTS.map(([keys, text]) => {
		const line = element("span");

		line.append(...keys.split(" ").flatMap(key => [element("kbd", key), " "]), text);
		return line;
	}));
	read_colours();
	show_legend();
	show_notes();
	lay_out(state.measure);
	find("measure").value = state.measure;
	zoom_to(0, true);
	view.scrollTop = room.offsetHeight;
}

function on_pointer(event) {
	const box = canvas.getBoundingClientRect();

	state.hover = node_at(event.clientX - box.left, event.clientY - box.top);
	canvas.style.cursor = state.hover >= 0 ? "pointer" : "";
	show_detail(state.hover, event.clientX, event.clientY);
	redraw();
}

canvas.addEventListener("mousemove", on_pointer);
canvas.addEventListener("mouseleave", () => {
	state.hover = -1;
	show_detail(-1);
	redraw();
});
canvas.addEventListener("click", event => {
	on_pointer(event);
	if (state.hover >= 0) {
		state.selected = state.hover;
		zoom_to(state.hover);
	}
});
view.addEventListener("scroll", () => {
	show_detail(-1);
	redraw();
});
addEventListener("keydown", on_key);
addEventListener("resize", on_resize);
find("search").addEventListener("input", () => {
	show_found();
	redraw();
});
find("regexp").addEventListener("click", () => set_regexp(!regexp));
find("measure").addEventListener("change", event => set_measure(Number(event.target.value)));
find("flip").addEventListener("click", flip);
find("reset").addEventListener("click", reset);
find("help").addEventListener("click", toggle_keys);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	read_colours();
	show_legend();
	redraw();
});
set_up();
