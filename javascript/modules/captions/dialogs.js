/** Dialogs of the caption editor: preview of an operation, conflicts with other programs, and help. */

import {dialog as openDialog} from "../core/dialog.js";
import {h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button} from "../core/parts.js";

/** @typedef {import("./set.js").CaptionSet} CaptionSet */
/** @typedef {import("../core/elements").Child} Child */

/** @param {string} before @param {string} after @returns {HTMLElement[]} a diff with removed and added words marked */
function difference(before, after) {
    const separator = before.includes(",") || after.includes(",") ? ", " : " ";
    const parts = (/** @type {string} */ text) => text.trim().split(separator === ", " ? /\s*,\s*/ : /\s+/).filter(Boolean);
    const [old, now] = [parts(before), parts(after)];
    /** @param {string[]} list @param {string[]} others @param {"del"|"ins"} kind */
    const mark = (list, others, kind) => {
        /** @type {Map<string, number>} */
        const left = new Map();
        for (const part of others) left.set(part, (left.get(part) || 0) + 1);
        return list.map((part, place) => {
            const known = left.get(part) || 0;
            left.set(part, known - 1);
            return [place ? separator : "", known > 0 ? part : h(kind, {}, part)];
        });
    };
    return [h("p", {class: "tl-before"}, mark(old, now, "del")), h("p", {class: "tl-after"}, mark(now, old, "ins"))];
}

/**
 * Captions before and after, each with its image and name; those that the page has not loaded yet follow.
 * @param {CaptionSet} set @param {import("./records").Preview[]} previews @returns {HTMLElement[]}
 */
export function previewRows(set, previews) {
    /** @type {Map<number, (cell: import("./answers").Cell) => void>} */
    const waiting = new Map();
    const rows = previews.map((item) => {
        const name = h("p", {class: "tl-note"});
        const row = h("li", {class: "tl-preview"}, h("div", {}, name, difference(item.before, item.after)));
        const show = (/** @type {import("./answers").Cell} */ cell) => {
            setText(name, cell.path);
            row.prepend(h("img", {src: set.image(cell, 128), alt: "", loading: "lazy"}));
        };
        const cell = set.cells.get(item.number);
        if (cell) show(cell);
        else waiting.set(item.number, show);
        return row;
    });
    if (waiting.size) {
        set.ask("cells", {numbers: [...waiting.keys()]}, {quiet: true}).then(({cells}) => {
            for (const cell of cells) waiting.get(cell.number)?.(cell);
        }, () => {});  // the captions are shown without
    }
    return rows;
}

/** @param {CaptionSet} set @param {import("./answers").Previews} answer @param {string} words @param {() => void} go */
export function captionPreview(set, answer, words, go) {
    const rows = previewRows(set, answer.previews);
    const more = answer.captions - answer.previews.length;
    const dialog = openDialog(answer.captions ? `${format.plural(answer.captions, "caption")} would change` : "Nothing would change",
        [answer.captions ? h("ul", {class: "tl-previews"}, rows) : h("p", {}, "No caption is changed by this."),
            more > 0 ? h("p", {class: "tl-note"}, `and ${format.number(more)} more`) : null],
        [button("Cancel", {click: () => dialog.close()}), answer.captions ? button(words, {kind: "primary", click: () => {
            dialog.close();
            go();
        }}) : null]);
}

/** @param {import("./messages").Conflict} conflict */
export function captionConflict({verb, files, again}) {
    const dialog = openDialog(`${format.plural(files.length, "file")} changed since`,
        [h("p", {}, "Another program has written them after this edit. Nothing was changed. You can leave these files " +
            "unchanged and continue with all others."), h("ul", {class: "tl-paths"}, files.map((file) => h("li", {}, file)))],
        [button("Leave everything", {click: () => dialog.close()}), button(`${verb} all others`, {kind: "primary",
            click: () => {
                dialog.close();
                again(files);
            }})]);
}

/** @param {string} title @param {string[][]} rows input and effect */
export function captionHelp(title, rows) {
    const dialog = openDialog(title, [h("dl", {class: "tl-keylist"}, rows.map(([key, words]) => [h("dt", {}, h("kbd", {}, key)),
        h("dd", {}, words)]))], [button("Close", {click: () => dialog.close()})]);
}

export function captionKeys() {
    captionHelp("Keys", [["/", "go to the filter"], ["Arrows", "move; with Shift, select several"],
        ["Space", "select one more or one less"], ["Ctrl A", "select all shown"],
        ["Ctrl I", "invert the selection"], ["Ctrl J", "go to the next image without a caption"],
        ["Enter", "edit the tags of the image"], ["Esc", "back to the images; select none"],
        ["Delete", "move the selected images to the trash"],
        ["Ctrl C, Ctrl V", "copy the selected images' tags; add them to the images selected then"], ["F2", "on a tag of the list: rename it in all captions"],
        ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
        ["Alt Arrows", "on a tag: move it"], ["Backspace", "on a tag: remove it"]]);
}

export {difference as captionDifference};
