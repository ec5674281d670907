/** Paths as texts, as they are typed. */

/** @param {string[]} texts @returns {string} how all of them begin, whatever the case; with the letters of the first */
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
