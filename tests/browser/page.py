# SPDX-License-Identifier: LGPL-2.1-or-later
"""A flame graph as its reader meets it: bars found by name, pointed at and clicked with the mouse, and what the page then says."""
import re

# The page's script is not a module: what it declares can be asked for.
FIND = """
    const [name, nth] = arguments, box = canvas.getBoundingClientRect();
    const node = graph.rows.flat().filter(i => graph.frames[graph.frame[i]].name === name)[nth];
    if (node === undefined)
        return null;
    const left = Math.max(x_of(graph.left[node]), 0);
    const right = Math.min(x_of(graph.left[node] + graph.total[state.measure][node]), wide);
    return {node, x: box.left + left, y: box.top + y_of(graph.depth[node]), width: right - left, all: wide, height: ROW};
"""
PIXEL = """
    const [x, y] = arguments, box = canvas.getBoundingClientRect();
    return Array.from(pen.getImageData(x - box.left, y - box.top, 1, 1).data).slice(0, 3);
"""
PATHS = """
    const path = [], all = [];
    for (let i = 0; i < graph.n; i++) {
        path.length = graph.depth[i];
        path.push(graph.frames[graph.frame[i]].name);
        all.push([path.join(";"), ...graph.measures.flatMap((_, m) => [graph.total[m][i], graph.self[m][i]])]);
    }
    return all;
"""


class Page:
    def __init__(self, browser, path):
        self.browser = browser
        browser.open(path)

    def bar(self, name, nth=0):
        bar = self.browser.run(FIND, name, nth)
        assert bar, f"no bar '{name}'"
        return bar

    def middle(self, name, nth=0):
        bar = self.bar(name, nth)
        return bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2

    def hover(self, name, nth=0):
        """The lines of the detail."""
        self.browser.point(*self.middle(name, nth))
        lines = [line for line in self.browser.text("#detail").splitlines() if line]
        assert lines and lines[0] == name, f"the detail of '{name}' is {lines}"
        return lines

    def click(self, name, nth=0):
        self.browser.point(*self.middle(name, nth), click=True)

    def colour(self, name, nth=0):
        """Near the upper right corner, where no text is; without the outline of a hover."""
        self.browser.run("state.hover = state.selected = -1; draw()")
        bar = self.bar(name, nth)
        return self.browser.run(PIXEL, round(bar["x"] + bar["width"] - 5), round(bar["y"] + 3))

    def fills_the_width(self, name, nth=0):
        bar = self.bar(name, nth)
        return bar["width"] > bar["all"] - 1

    def bars(self):
        """[("all;web1;main", [total, self, …])]. Two may have one path: what they have of another side or file has another bar."""
        return [(path, numbers) for path, *numbers in self.browser.run(PATHS)]

    def paths(self):
        """{"all;web1;main": [total, self, …]}"""
        return dict(self.bars())

    def search(self, text):
        """What the page says was found."""
        self.browser.run("find('search').value = ''")
        self.browser.type("#search", text)
        return self.browser.text("#found")

    def zoom(self):
        return self.browser.text("#path")

    def figure(self, lines, head):
        """The first number of the detail's line that begins with @head."""
        line = next(line for line in lines if line.startswith(head))
        return float(re.sub(r"[^\d.]", "", line[len(head):].split()[0]))
