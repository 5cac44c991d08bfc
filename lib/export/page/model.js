/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The graph: what the page was written with (flame_page.c), in arrays by node. Nodes are in the order of a walk, so what
 * is below node i are those from i + 1 to end[i] - 1.
 */
const KINDS = ["label", "guest-kernel", "guest-user", "host-kernel", "vmm", "host-user", "hypervisor", "unknown", "exit"];
const KIND_NAMES = ["", "guest kernel", "guest user", "host kernel", "hypervisor (QEMU)", "host user", "hypervisor mode",
	"unknown side", "reason of the exit"];
const KIND_LABEL = 0;
const STATUS_TEXTS = {
	"unmapped": "no mapping holds this address",
	"no-symbols": "its file has no symbols, or they are not at hand",
	"no-symbol": "no symbol covers this address",
	"hidden": "the kernel hides its addresses",
	"opaque": "an encrypted guest: no address was given",
	"nested": "in a guest that this guest runs",
	"truncated": "the call chain is cut here: who called is not known",
	"not-this-kernel": "recorded under another kernel, whose symbols are not at hand",
};

/* Names come from guests: nothing in them may act on the text around them. */
function clean(text) {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

const graph = (() => {
	const raw = JSON.parse(document.getElementById("graph").textContent);
	const measures = raw.measures.map(m => ({name: clean(m.name), unit: m.unit}));
	const names = raw.names.map(clean), files = raw.files.map(clean);
	const frames = [];

	for (let i = 0; i < raw.frames.length; i += 4)
		frames.push({name: names[raw.frames[i]], file: files[raw.frames[i + 1]], kind: raw.frames[i + 2],
			status: raw.statuses[raw.frames[i + 3]]});

	const step = 2 + 2 * measures.length, n = raw.nodes.length / step;
	const g = {
		...raw, n, measures, frames, names: null, nodes: null,
		compares: raw.kind === "diff",
		depth: new Int32Array(n), frame: new Int32Array(n), parent: new Int32Array(n), end: new Int32Array(n),
		total: measures.map(() => new Float64Array(n)), self: measures.map(() => new Float64Array(n)),
		left: new Float64Array(n), rows: [],
	};
	const path = [];

	for (let i = 0; i < n; i++) {
		const depth = g.depth[i] = raw.nodes[i * step];

		g.frame[i] = raw.nodes[i * step + 1];
		measures.forEach((_, m) => {
			g.total[m][i] = raw.nodes[i * step + 2 + 2 * m];
			g.self[m][i] = raw.nodes[i * step + 3 + 2 * m];
		});
		while (path.length > depth)
			g.end[path.pop()] = i;
		g.parent[i] = depth ? path[depth - 1] : -1;
		path.push(i);
	}
	while (path.length)
		g.end[path.pop()] = n;
	return g;
})();

function children(node) {
	const all = [];

	for (let i = node + 1; i < graph.end[node]; i = graph.end[i])
		all.push(i);
	return all;
}

/*
 * Where each node begins, in units of measure @m: the heaviest child first. Rows are nodes by depth, from left to right, but
 * for those that have no width.
 */
function lay_out(m) {
	const total = graph.total[m], todo = [0];

	graph.rows = [];
	graph.left[0] = 0;
	while (todo.length) {
		const node = todo.pop(), below = children(node);
		let left = graph.left[node];

		if (!total[node])
			continue;
		(graph.rows[graph.depth[node]] ??= []).push(node);
		below.sort((a, b) => total[b] - total[a] || a - b);
		for (const child of below) {
			graph.left[child] = left;
			left += total[child];
		}
		for (const child of below.reverse())
			todo.push(child);
	}
}

/* The share of the nodes for which @test holds and of none above them. */
function share_of(test, within, m) {
	const total = graph.total[m];
	let sum = 0;

	for (let i = within; i < graph.end[within];) {
		if (test(i)) {
			sum += total[i];
			i = graph.end[i];
		} else {
			i++;
		}
	}
	return total[within] ? sum / total[within] : 0;
}

/* ---- numbers as text ---- */

function percent(share) {
	const p = 100 * (share || 0); /* of nothing: 0 / 0 */

	return (p > 0 && p < 0.01 ? "< 0.01" : p.toFixed(2)) + " %";
}

function points(p) {
	return (p < 0 ? "\u2212" : "+") + Math.abs(p).toFixed(2);
}

function amount(value, unit) {
	if (unit !== "ns")
		return value.toLocaleString("en-US");
	for (const [scale, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"]])
		if (value >= scale)
			return (value / scale).toFixed(value / scale < 10 ? 2 : value / scale < 100 ? 1 : 0) + " " + name;
	return value + " ns";
}
