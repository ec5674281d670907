// @ts-check
/** The title of the browser's tab while a run trains. */

/** @param {{name: string, step?: number, total_steps?: number|null}|undefined} run @returns {string} "37 % penny – ", empty without a run */
export function prefixOf(run) {
    if (!run) return "";
    const share = run.total_steps ? Math.floor(100 * (run.step || 0) / run.total_steps) : 0;
    return `${share} % ${run.name} – `;
}

/**
 * The webui writes its own progress, "[50% ETA: 3s] Stable Diffusion", over the title while it generates, and the plain
 * title afterwards; ours gives way to the first and stands before the second.
 * @param {string} title of the page now @param {string} before our last prefix, empty for none
 * @param {string} prefix the new one, empty for none
 * @returns {string} the new title
 */
export function withPrefix(title, before, prefix) {
    const plain = before && title.startsWith(before) ? title.slice(before.length) : title;
    return plain.startsWith("[") ? plain : prefix + plain;
}
