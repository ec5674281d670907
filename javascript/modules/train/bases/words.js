/** What the comparison of checkpoints says, in words; and the layout of its tree. */

/** @typedef {import("./answers").ComparedBase} ComparedBase */
/** @typedef {import("./answers").BasesResult} BasesResult */
/** @typedef {import("./answers").TreeNode} TreeNode */

/** @type {Record<string, string>} */
const STYLES = {booru: "booru tags", e621: "e621 tags", prose: "sentences"};
/** @type {[number, string][]} */
const NEARNESS = [[0.05, "very near"], [0.2, "near"], [0.5, "related"], [1, "distantly related"]];

/** @param {number|null} distance @returns {string} */
export function nearnessWords(distance) {
    if (distance === null) return "cannot be compared";
    if (distance === 0) return "the same weights";
    const found = NEARNESS.find(([most]) => distance < most);
    return `${distance < 0.01 ? distance.toFixed(4) : distance.toFixed(2)}, ${found ? found[1] : "unrelated"}`;
}

/** @param {Pick<ComparedBase, "styles">} base @returns {string} */
export const styleWords = ({styles}) => styles.map((style) => STYLES[style] || style).join(", ") || "not known";

/** @param {Pick<ComparedBase, "family"|"base">} base @returns {string} */
export const kindWords = ({family, base}) => [family, base].filter(Boolean).join(", ") || "not known";

/** @param {Pick<BasesResult, "bases">} result @param {ComparedBase} base @returns {string[]} where it comes from, one sentence each */
export function originWords({bases}, base) {
    const said = [];
    const {mixture, parents, recipe} = base;
    if (parents.length) {
        const names = parents.map(({name, there}) => (there === null ? `${name} (not here)` : name)).join(", ");
        said.push(`Merged from ${names}, says its metadata${recipe ? ` (${recipe})` : ""}.`);
    } else if (recipe) said.push(`Merged, says its metadata: ${recipe}.`);
    if (mixture) {
        const share = Math.round(100 * mixture.share);
        const spread = mixture.highest - mixture.lowest > 0.1 ?
            ` Its blocks differ: ${Math.round(100 * mixture.lowest)} to ${Math.round(100 * mixture.highest)} %.` : "";
        said.push(`By its weights, it is about ${share} % ${bases[mixture.first].name} and ${100 - share} % ${bases[mixture.second].name}.${spread}`);
    }
    return said;
}

/**
 * @param {BasesResult} result @param {number|null} from
 * @returns {number[]} the checkpoints, those nearest to `from` first, then those that cannot be compared, in order of name
 */
export function byNearness({bases, distances}, from) {
    const away = (/** @type {number} */ number) => (from === null ? null : distances[from][number]) ?? Infinity;
    return bases.map((_, number) => number).sort((one, other) => {
        const difference = away(one) - away(other);
        return (Number.isNaN(difference) ? 0 : difference) || bases[one].problems.length - bases[other].problems.length ||
            bases[one].name.localeCompare(bases[other].name);
    });
}

/** @param {TreeNode} node @returns {number[]} */
export function leavesOf(node) {
    return "leaf" in node ? [node.leaf] : node.children.flatMap(leavesOf);
}

/**
 * Where the joints of a tree are: each is a vertical line at a distance, from the row of one side to that of the other.
 * @param {TreeNode} tree @param {number} firstRow
 * @returns {{row: number, distance: number, joints: {distance: number, rows: [number, number], sides: [number, number]}[]}}
 *     `sides` are the distances at which the two sides end
 */
export function layoutOf(tree, firstRow) {
    if ("leaf" in tree) return {row: firstRow, distance: 0, joints: []};
    const one = layoutOf(tree.children[0], firstRow);
    const other = layoutOf(tree.children[1], firstRow + leavesOf(tree.children[0]).length);
    return {row: (one.row + other.row) / 2, distance: tree.distance, joints: [...one.joints, ...other.joints,
        {distance: tree.distance, rows: [one.row, other.row], sides: [one.distance, other.distance]}]};
}
