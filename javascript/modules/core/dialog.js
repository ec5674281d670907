/** A modal dialog. */

import {h, uniqueId} from "./dom.js";
import {button} from "./parts.js";
import {root} from "./shell.js";

/** @typedef {import("./elements").Child} Child */

/**
 * @param {string} title @param {Child[]} content @param {Child[]} buttons
 * @returns {HTMLDialogElement} the open dialog, removed when it is closed
 */
export function dialog(title, content, buttons) {
    const heading = uniqueId("dialog");  // the dialog has no <footer>, since the webui hides all of them
    /** @type {HTMLDialogElement} */
    const element = h("dialog", {class: "tl-dialog", "aria-labelledby": heading},
        h("header", {class: "tl-dialog-head"}, h("h3", {class: "tl-card-title", id: heading}, title),
            button("Close", {kind: "quiet", icon: "close", iconOnly: true, click: () => element.close()})),
        h("div", {class: "tl-dialog-body"}, content), h("div", {class: "tl-dialog-foot"}, buttons));
    element.addEventListener("close", () => element.remove());
    element.addEventListener("click", (event) => {
        if (event.target === element) element.close();
    });
    element.addEventListener("keydown", (event) => event.stopPropagation());
    root.append(element);
    element.showModal();
    return element;
}

/** Show a table in a dialog as large as the window. @param {string} title @param {HTMLElement} table */
export function fullView(title, table) {
    const element = dialog(title, [table], [button("Close", {click: () => element.close()})]);
    element.classList.add("tl-full-dialog");
}
