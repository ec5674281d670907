/** How evenly concepts, buckets and repeats are learned, as bars. */

import {fill, h} from "../../core/dom.js";
import {balanceTitle} from "./order.js";

/** @typedef {import("../records").BalancePart} BalancePart */

/** @param {HTMLElement} element @param {BalancePart[]} parts */
export function drawBalance(element, parts) {
    const kinds = [...new Set(parts.map(({kind}) => kind))];
    element.hidden = !parts.length;
    fill(element, kinds.map((kind) => group(parts.filter((part) => part.kind === kind))));
}

/** @param {BalancePart[]} parts of one kind */
function group(parts) {
    const most = Math.max(...parts.map(({learned}) => Math.abs(learned)), 1e-9);
    return h("div", {class: "tl-balance"}, h("h4", {class: "tl-diagnosis-subtitle"}, balanceTitle(parts[0])),
        [...parts].sort((one, other) => one.learned - other.learned).map((part) => h("div", {class: "tl-balance-row"},
            h("span", {class: "tl-balance-name", title: part.name}, part.name || "no name"),
            h("span", {class: "tl-balance-track"}, h("i", {class: `tl-balance-bar${part.learned < 0 ? " tl-worse" : ""}`,
                style: `width: ${(100 * Math.abs(part.learned) / most).toFixed(1)}%`})),
            h("span", {class: "tl-balance-number"}, `${Math.round(100 * part.learned)} %`),
            part.reason ? h("p", {class: "tl-note tl-balance-reason"}, part.reason) : null)));
}
