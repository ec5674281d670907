/** The estimated memory of the run by use, as a bar, and whether it fits. */

import {fill, h} from "../core/dom.js";

const GB = 2 ** 30;

/** @typedef {import("./answers").Memory} Memory */

/** @param {number} bytes */
const gigabytes = (bytes) => bytes < GB / 10 ? `${Math.round(bytes / 2 ** 20)} MB` : `${(bytes / GB).toFixed(1)} GB`;

/** @returns {{element: HTMLElement, show: (memory: Memory|null) => void}} */
export function memoryBar() {
    const sum = h("p", {class: "tl-memory-sum"});
    const bar = h("div", {class: "tl-memory-bar", "aria-hidden": "true"});
    const legend = h("ul", {class: "tl-memory-legend"});
    const element = h("div", {class: "tl-memory", hidden: true}, sum, bar, legend);

    /** @param {Memory|null} memory */
    function show(memory) {
        element.hidden = !memory;
        if (!memory) return;
        const {total_bytes: total, limit_bytes: limit, parts} = memory;
        const whole = Math.max(total, limit || 0);
        const width = (/** @type {number} */ bytes) => ({style: `width: ${(100 * bytes / whole).toFixed(2)}%`});
        fill(sum, `About ${gigabytes(total)} of ${memory.on_gpu ? "GPU memory" : "memory"}`, verdict(memory));
        fill(bar, parts.map((part, place) => h("span", {class: `tl-memory-part tl-memory-${place}`,
            ...width(part.bytes)})));
        fill(legend, parts.map((part, place) => h("li", {},
            h("i", {class: `tl-memory-dot tl-memory-${place}`}), `${part.name} ${gigabytes(part.bytes)}`)));
        element.classList.toggle("tl-memory-over", limit !== null && limit > 0 && total > limit);
    }
    return {element, show};
}

/** @param {Memory} memory */
function verdict({total_bytes: total, limit_bytes: limit, switched}) {
    if (!limit) return ".";
    const with_ = switched.length ? ` with ${switched.join("; ")}` : "";
    if (total > limit) return `, more than ${gigabytes(limit)}${with_}.`;
    return `, which fits in ${gigabytes(limit)}${with_}.`;
}
