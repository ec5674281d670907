/** The tree of checkpoints: who is near whom. The further left two branches meet, the more the weights differ. */

import {chart} from "../../core/chart.js";
import {h, svg} from "../../core/dom.js";
import {layoutOf, leavesOf} from "./words.js";

/** @typedef {import("./answers").BasesResult} BasesResult */

const {label} = chart;
const [WIDTH, ROW, TOP, LEFT, NAMES] = [960, 26, 30, 24, 420];
const TICKS = [0, 0.02, 0.1, 0.3, 0.6, 1, 1.4];
const LONGEST = 52;

/** @param {BasesResult} result @returns {HTMLElement} */
export function treeView(result) {
    const {trees, bases, chosen} = result;
    let row = 0;
    const parts = trees.map((tree) => {
        const first = row;
        row += leavesOf(tree).length + 0.5;
        return {tree, leaves: leavesOf(tree), first, ...layoutOf(tree, first)};
    });
    const height = TOP + row * ROW + 8;
    const most = Math.max(0.1, ...parts.map(({distance}) => distance));
    const right = WIDTH - NAMES;
    const x = (/** @type {number} */ distance) => right - (right - LEFT) * Math.sqrt(distance / most);
    const y = (/** @type {number} */ at) => TOP + (at + 0.5) * ROW;
    const ticks = TICKS.filter((value) => value <= most);
    return h("div", {class: "tl-bases-tree"}, svg("svg", {class: "tl-plot", viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
        "aria-label": `Tree of ${bases.length} checkpoints. The list below has the same distances.`},
    label(LEFT, 12, "Relative distance of the weights", "tl-axis-text"),
    ticks.map((value) => [svg("line", {class: "tl-grid", x1: x(value), x2: x(value), y1: TOP - 2, y2: height - 8}),
        label(x(value), TOP - 6, String(value), "tl-axis-text tl-mid")]),
    parts.map(({leaves, first, joints}) => [
        joints.map(({distance, rows, sides}) => svg("path", {class: "tl-bases-branch", d: `M${x(sides[0])} ${y(rows[0])}H${x(distance)}` +
            `V${y(rows[1])}H${x(sides[1])}`})),
        leaves.map((leaf, place) => {
            const {name, family, base} = bases[leaf];
            const kind = base || family;
            const text = `${name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name}${kind ? ` · ${kind}` : ""}`;
            return svg("g", {class: leaf === chosen ? "tl-bases-chosen" : "", data: {leaf: String(leaf)}},
                svg("circle", {class: "tl-bases-leaf", cx: right, cy: y(first + place), r: 4}),
                label(right + 12, y(first + place) + 4, text, "tl-bases-name"));
        })])));
}
