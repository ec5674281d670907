/** The caption of a crop: the image's without tags that have left the frame, and with new ones. */

/** @param {string} tag @returns {string} for comparison, as `plain` in lib_lora_train/captions/tags.py */
export function plainTag(tag) {
    return tag.replaceAll("\\(", "(").replaceAll("\\)", ")").replaceAll("_", " ").toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}

/**
 * @param {string} text the whole caption, of which the first line with something in it is trained
 * @param {string[]} remove @param {string[]} add @param {string} separator
 * @returns {string} other lines stay as they are
 */
export function captionWith(text, remove, add, separator) {
    const [before, line, after] = text.match(/^(\s*)([^\n\r]*)([^]*)$/)?.slice(1) || ["", text, ""];
    const gone = new Set(remove.map(plainTag));
    const tags = line.split(separator.trim() || ",").map((tag) => tag.trim()).filter(Boolean);
    const kept = tags.filter((tag) => !gone.has(plainTag(tag)));
    const there = new Set(kept.map(plainTag));
    const fresh = add.filter((tag) => !there.has(plainTag(tag)));
    if (kept.length === tags.length && !fresh.length) return text;
    return before + [...kept, ...fresh].join(`${separator.trim() || ","} `) + after;
}
