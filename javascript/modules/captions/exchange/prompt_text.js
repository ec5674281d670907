/** Captions as prompts of the webui, and prompts as captions. */

/** @param {string} line a caption @returns {string} the prompt that says the same: brackets stand for themselves */
export function asPrompt(line) {
    return line.replace(/(?<!\\)[()[\]]/g, "\\$&");
}

const WEIGHTED = /(?<!\\)\(((?:[^()\\]|\\.)*?):\s*[0-9.]+\s*\)/g;

/**
 * @param {string} prompt
 * @returns {string} a caption without LoRAs, weights and escapes; caption_of_prompt in Python does the same
 */
export function captionOf(prompt) {
    let text = prompt.replace(/<[a-z]+:[^<>]*>/gi, "").replace(/\bBREAK\b/g, ",");
    let before;
    do {  // from the innermost brackets outwards
        before = text;
        text = before.replace(WEIGHTED, "$1");
    } while (text !== before);
    text = text.replace(/(?<!\\)[()[\]]/g, "").replace(/\\([()[\]])/g, "$1");
    return text.split(",").map((part) => part.trim().replace(/\s+/g, " ")).filter(Boolean).join(", ");
}

/** @param {string} info what the webui writes below a result @returns {string} the prompt that it was generated from, empty if unknown */
export function promptOfInfo(info) {
    const end = /^(Negative prompt:|Steps: \d)/m.exec(info);
    return end ? info.slice(0, end.index).trim() : "";
}

/**
 * The caption with some of the source's tags taken out; tags that were typed stay.
 * @param {readonly string[]} original tags of the source @param {ReadonlySet<number>} off the places of those taken out
 * @param {string} text the caption as it stands @param {string} separator
 * @returns {string}
 */
export function withoutTags(original, off, text, separator) {
    const known = new Set(original);
    const typed = text.split(separator).map((tag) => tag.trim()).filter((tag) => tag && !known.has(tag));
    return [...original.filter((_, place) => !off.has(place)), ...typed].join(`${separator.trim()} `);
}

/** @param {string} src of an image in a gallery @param {string} type of its content @returns {string} a file name */
export function fileNameOf(src, type) {
    const ending = {"image/jpeg": ".jpg", "image/webp": ".webp", "image/avif": ".avif"}[type] || ".png";
    if (/^(data|blob):/.test(src)) return `result${ending}`;
    const asked = /[?&]path=([^&#]*)/.exec(src);  // a sample of a run
    const last = asked ? asked[1] : src.split(/[?#]/)[0].split(/[\\/=]/).pop() || "";
    let name = last;
    try {
        name = decodeURIComponent(last);
    } catch {
        // a percent sign of its own
    }
    return `${name.replace(/\.[a-z]+$/i, "").split(/[\\/]/).pop() || "result"}${ending}`;
}
