/** A lightbox: one enlarged image at a time; arrow keys go to its neighbours, Escape closes. */

import {h, setText} from "./dom.js";
import {button} from "./parts.js";
import {root} from "./shell.js";

/**
 * @param {{src: string, title: string, text: string}[]} items
 * @param {number} start
 * @param {{beside?: (index: number, columns: number, rows: number) => number, opener?: HTMLElement,
 *     actions?: {label: string, run: (index: number) => void}[]}} [options]
 *     `actions` are buttons for the image shown, which close the lightbox; `beside` returns the index of the image at an offset in columns and rows; by default, they form one row
 */
export function lightbox(items, start, options = {}) {
    let index = start;
    const beside = options.beside || ((from, columns, rows) =>
        Math.max(0, Math.min(items.length - 1, from + columns + rows)));
    const image = h("img", {class: "tl-lightbox-image", alt: ""});
    const title = h("p", {class: "tl-lightbox-title"});
    const text = h("p", {class: "tl-lightbox-text"});
    const back = button("Previous", {kind: "quiet", icon: "left", iconOnly: true, click: () => go(-1, 0)});
    const next = button("Next", {kind: "quiet", icon: "right", iconOnly: true, click: () => go(1, 0)});
    const close = button("Close", {kind: "quiet", icon: "close", iconOnly: true, click: () => dialog.close()});
    const dialog = h("dialog", {class: "tl-lightbox", tabindex: "-1", "aria-label": "Enlarged image"},
        h("div", {class: "tl-lightbox-stage"}, back, image, next),
        h("div", {class: "tl-lightbox-words", "aria-live": "polite"}, title, text),
        options.actions ? h("div", {class: "tl-lightbox-action"}, options.actions.map((action) =>
            button(action.label, {click: () => act(action)}))) : null, close);

    /** @param {{run: (index: number) => void}} action */
    function act(action) {
        dialog.close();
        action.run(index);
    }

    function show() {
        const item = items[index];
        image.src = item.src;
        image.alt = item.text;
        setText(title, item.title);
        setText(text, item.text);
        back.disabled = beside(index, -1, 0) === index;
        next.disabled = beside(index, 1, 0) === index;
    }

    /** @param {number} columns @param {number} rows */
    function go(columns, rows) {
        index = beside(index, columns, rows);
        show();
    }

    dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
        if (!move) return;
        go(move[0], move[1]);
        event.preventDefault();
    });
    dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => {
        const target = /** @type {Element} */ (event.target);
        if (target === dialog || target.classList.contains("tl-lightbox-stage")) dialog.close();
    });
    dialog.addEventListener("close", () => {
        dialog.remove();
        if (options.opener && options.opener.isConnected) options.opener.focus({preventScroll: true});
    });
    root.append(dialog);
    show();
    dialog.showModal();
    dialog.focus();
}
