/** Inserts a LoRA into a txt2img prompt. */

/**
 * The prompt with a LoRA and its trigger word; replaces another file of the same run.
 * @param {string} before the current prompt
 * @param {{name: string, tag: string, end?: string}} answer
 * @returns {string}
 */
export function promptWith(before, answer) {
    const call = `<lora:${answer.name}${answer.end || ":1"}>`;
    const family = answer.name.replace(/-(\d{6}|step\d{8})$/, "");
    const escaped = family.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const sameRun = new RegExp(`<lora:${escaped}(?:-\\d{6}|-step\\d{8})?(:[^<>]*)?>`);
    if (sameRun.test(before)) {
        return before.replace(sameRun, (_, /** @type {string|undefined} */ weight) =>
            (answer.end || !weight ? call : `<lora:${answer.name}${weight}>`));
    }
    const rest = before.trim();
    const words = rest.split(",").map((word) => word.trim());
    const added = answer.tag && !words.includes(answer.tag) ? `${call} ${answer.tag}` : call;
    return rest ? `${rest.replace(/,$/, "")}, ${added}` : added;
}
