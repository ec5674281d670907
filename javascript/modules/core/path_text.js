/** Helpers for typed paths. */

/** @param {string[]} texts @returns {string} their common prefix, ignoring case, in the case of the first */
export function longestCommon(texts) {
    if (!texts.length) return "";
    let length = texts[0].length;
    for (const text of texts) {
        let same = 0;
        while (same < length && text[same]?.toLowerCase() === texts[0][same].toLowerCase()) same += 1;
        length = same;
    }
    return texts[0].slice(0, length);
}
