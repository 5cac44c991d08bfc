/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drawing. The canvas is as large as what is to be seen of the graph, not as the graph: a stack may be thousands of frames deep.
 * Of a row only the nodes in view are looked at, and what is narrower than half a pixel is drawn once a pixel.
 */
const ROW = 19, FONT = "12px system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif";
const NARROW = 0.5;

const view = document.getElementById("view"), room = document.getElementById("room");
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");

/* What is shown. from and to are the ends of the window, in units of the measure. */
const state = {
	measure: graph.measure, icicle: false, zoom: 0, from: 0, to: 1,
	selected: -1, hover: -1,
	matches: null, /* by frame; null = there is no search */
};

/* ---- colours ---- */

let colours, fills, hatch;

function rgb(hex) {
	return [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
}

function mixed(a, b, share) {
	return "rgb(" + a.map((x, i) => Math.round(x + (b[i] - x) * share)).join(" ") + ")";
}

/* Neighbours of one colour differ a little, equal names do not. */
function shade_of(name) {
	let hash = 7;

	for (let i = 0; i < name.length; i++)
		hash = (hash * 31 + name.charCodeAt(i)) | 0;
	return ((hash >>> 4) % 16) / 16 * 0.2;
}

function make_hatch(colour) {
	const tile = document.createElement("canvas"), p = tile.getContext("2d");

	tile.width = tile.height = 8;
	p.strokeStyle = colour;
	p.lineWidth = 1.6;
	for (const x of [-8, 0, 8]) {
		p.beginPath();
		p.moveTo(x, 8);
		p.lineTo(x + 8, 0);
		p.stroke();
	}
	return pen.createPattern(tile, "repeat");
}

function is_unnamed(frame) {
	return frame.status !== "ok" && frame.status !== "truncated";
}

function read_colours() {
	const style = getComputedStyle(document.documentElement), get = name => style.getPropertyValue("--" + name).trim();

	colours = {page: get("page"), ink: get("ink"), text: get("text"), accent: get("accent"), faint: get("faint")};
	for (const name of ["more", "less", "same", "label"])
		colours[name] = rgb(get(name));
	hatch = make_hatch(get("hatch"));
	fills = graph.frames.map(f => f.status === "truncated" ? get("field") :
		mixed(rgb(get(KINDS[f.kind])), [255, 255, 255], f.kind === KIND_LABEL ? 0 : shade_of(f.name)));
}

/* How much a change counts as, 0 to 1, by points; the root of it, for small ones to be seen too. */
const greatest = graph.compares ? (() => {
	let most = 0;

	for (let i = 1; i < graph.n; i++)
		if (is_significant(i))
			most = Math.max(most, Math.abs(change_of(i)));
	return most;
})() : 0;

function change_of(i) {
	return 100 * (graph.total[1][i] / graph.total[1][0] - graph.total[0][i] / graph.total[0][0]);
}

function is_significant(i) {
	return graph.bounds[2 * i] > 0 || graph.bounds[2 * i + 1] < 0;
}

function colour_of_change(change) {
	return mixed(colours.same, change > 0 ? colours.more : colours.less,
		0.15 + 0.85 * Math.sqrt(Math.min(1, Math.abs(change) / greatest)));
}

function fill_of(i) {
	const frame = graph.frames[graph.frame[i]];

	if (!graph.compares || frame.status === "truncated")
		return fills[graph.frame[i]];
	return is_significant(i) && greatest ? colour_of_change(change_of(i)) : mixed(colours.same, colours.same, 0);
}

/* ---- geometry ---- */

let wide = 0, high = 0, n_rows = 0;

function count_rows() {
	n_rows = 0;
	for (let i = state.zoom; i < graph.end[state.zoom]; i++)
		if (graph.total[state.measure][i])
			n_rows = Math.max(n_rows, graph.depth[i] + 1);
	room.style.height = Math.max(n_rows * ROW + 2, view.clientHeight) + "px";
}

function y_of(depth) {
	const height = Math.max(n_rows * ROW + 2, high);

	return (state.icicle ? depth * ROW + 1 : height - (depth + 1) * ROW - 1) - view.scrollTop;
}

function depth_at(y) {
	const height = Math.max(n_rows * ROW + 2, high), at = y + view.scrollTop;

	return Math.floor(state.icicle ? (at - 1) / ROW : (height - 1 - at) / ROW);
}

function x_of(left) {
	return (left - state.from) / (state.to - state.from) * wide;
}

/* The first node of a row that ends behind @left. */
function first_in(row, left) {
	const total = graph.total[state.measure];
	let low = 0, up = row.length;

	while (low < up) {
		const middle = (low + up) >> 1;

		if (graph.left[row[middle]] + total[row[middle]] <= left)
			low = middle + 1;
		else
			up = middle;
	}
	return low;
}

function node_at(x, y) {
	const row = graph.rows[depth_at(y)], left = state.from + x / wide * (state.to - state.from);
	const node = row?.[first_in(row, left)];

	return node !== undefined && graph.left[node] <= left ? node : -1;
}

/* ---- drawing ---- */

const widths = new Map();

function width_of(text) {
	if (!widths.has(text))
		widths.set(text, pen.measureText(text).width);
	return widths.get(text);
}

function draw_text(text, x, y, room_for) {
	const needed = width_of(text);
	let n = Math.floor(text.length * room_for / needed), shown = text;

	for (; needed > room_for && (shown === text || pen.measureText(shown).width > room_for); n--) {
		if (n < 3)
			return;
		shown = text.slice(0, n - 1) + "\u2026";
	}
	pen.fillText(shown, x, y + ROW / 2);
}

function draw_node(i, x, y, w) {
	const frame = graph.frames[graph.frame[i]], gap = w > 3 ? 1 : w > 1.5 ? 0.5 : 0;

	pen.globalAlpha = state.matches && !state.matches[graph.frame[i]] ? 0.22 : 1;
	pen.fillStyle = fill_of(i);
	pen.fillRect(x, y, Math.max(w - gap, NARROW), ROW - 1);
	if (is_unnamed(frame) && w > 2) {
		pen.fillStyle = hatch;
		pen.fillRect(x, y, w - gap, ROW - 1);
	}
	if (frame.status === "truncated" && w > 3) {
		pen.strokeStyle = colours.faint;
		pen.setLineDash([3, 3]);
		pen.strokeRect(x + 0.5, y + 0.5, w - gap - 1, ROW - 2);
		pen.setLineDash([]);
	}
	if (w > 22) {
		const from = Math.max(x, 0);

		pen.fillStyle = frame.status === "truncated" ? colours.faint : colours.ink;
		draw_text(frame.name, from + 4, y, Math.min(x + w, wide) - from - 9);
	}
	pen.globalAlpha = 1;
}

function outline(i, colour) {
	const y = y_of(graph.depth[i]), left = Math.max(x_of(graph.left[i]), 0);
	const right = Math.min(x_of(graph.left[i] + graph.total[state.measure][i]), wide);

	if (i < 0 || right < 0 || left > wide)
		return;
	pen.strokeStyle = colour;
	pen.lineWidth = 2;
	pen.strokeRect(left + 0.5, y, Math.max(right - left - 2, 1), ROW - 1);
	pen.lineWidth = 1;
}

function draw_row(row, y) {
	const total = graph.total[state.measure];
	let drawn = -1; /* up to here */

	for (let k = first_in(row, state.from); k < row.length && graph.left[row[k]] < state.to; k++) {
		const x = x_of(graph.left[row[k]]), w = x_of(graph.left[row[k]] + total[row[k]]) - x;

		if (w < NARROW && x < drawn)
			continue;
		draw_node(row[k], x, y, w);
		drawn = x + Math.max(w, 1);
	}
}

function draw() {
	const ratio = window.devicePixelRatio || 1;

	wide = view.clientWidth;
	high = view.clientHeight;
	if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
		canvas.width = Math.round(wide * ratio);
		canvas.height = Math.round(high * ratio);
		canvas.style.height = high + "px";
	}
	pen.setTransform(ratio, 0, 0, ratio, 0, 0);
	pen.clearRect(0, 0, wide, high);
	pen.font = FONT;
	pen.textBaseline = "middle";
	graph.rows.forEach((row, depth) => {
		const y = y_of(depth);

		if (y > -ROW && y < high)
			draw_row(row, y);
	});
	if (state.selected >= 0)
		outline(state.selected, colours.accent);
	if (state.hover >= 0)
		outline(state.hover, colours.text);
}

let scheduled = false;

function redraw() {
	if (scheduled)
		return;
	scheduled = true;
	requestAnimationFrame(() => {
		scheduled = false;
		draw();
	});
}
