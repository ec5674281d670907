/** The history dialog: the changes of each edit, and undo or redo to any point. */

import {dialog as openDialog} from "../../core/dialog.js";
import {fill, h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, icon} from "../../core/parts.js";
import {previewRows} from "../dialogs.js";

/** @typedef {import("../set.js").CaptionSet} CaptionSet */
/** @typedef {import("../answers").Edit} Edit */
/** @typedef {import("../answers").ChangesOfEdit} ChangesOfEdit */

/** @param {CaptionSet} set */
export async function captionHistory(set) {
    const first = await set.ask("history").catch(() => null);
    if (!first) return;
    const list = h("ol", {class: "tl-edits"});
    const more = button("Show older", {small: true, click: () => older()});
    const foot = h("div", {class: "tl-row"}, more);
    const window = openDialog("History", [h("p", {class: "tl-note"},
        "Newest first. You can go back to before any edit, and forward again until you edit something."),
    first.edits.length ? list : h("p", {}, "Nothing has been changed yet."), foot],
    [button("Close", {click: () => window.close()})]);
    window.id = "tl_history";
    let shown = 0;
    const add = (/** @type {import("../answers").EditList} */ page) => {
        const rows = new Map(page.edits.map((edit) => [edit.number, row(set, edit, () => window.close())]));
        list.append(...[...rows.values()].map(({element}) => element));
        shown += page.edits.length;
        more.hidden = shown >= page.total;
        fillChanges(set, rows);
    };
    const older = async () => {
        const page = await set.ask("history", {skip: shown}).catch(() => null);
        if (page) add(page);
    };
    add(first);
}

/** @param {CaptionSet} set @param {Map<number, ReturnType<typeof row>>} rows */
async function fillChanges(set, rows) {
    const numbers = [...rows.keys()];
    for (let start = 0; start < numbers.length; start += 8) {
        const answer = await set.ask("history/changes", {numbers: numbers.slice(start, start + 8)}).catch(() => null);
        if (!answer) return;  // a toast says why
        for (const item of answer.changes) rows.get(item.number)?.show(item);
    }
}

/** @param {CaptionSet} set @param {Edit} edit @param {() => void} close */
function row(set, edit, close) {
    const picture = h("div", {class: "tl-edit-image"}, icon("image"));
    const changes = h("p", {class: "tl-edit-tags"});
    const element = h("li", {class: `tl-edit${edit.undone ? " tl-undone" : ""}`, data: {edit: String(edit.number)}}, picture,
        h("div", {class: "tl-edit-words"}, changes, h("p", {}, edit.label), h("p", {class: "tl-note"},
            `${edit.undone ? "undone · " : ""}${format.plural(edit.files, "file")} · ${format.when(edit.time)}`)),
        button(edit.undone ? "Redo up to here" : "Go back to before", {small: true,
            title: edit.undone ? "Redo this edit and those before it that are undone" : "Undo this edit and all after it",
            click: () => openPreview(set, edit, close)}));
    return {element, show: (/** @type {ChangesOfEdit} */ item) => {
        if (item.cell) fill(picture, h("img", {src: set.image(item.cell, 128), alt: item.cell.name, title: item.cell.path, loading: "lazy"}));
        fill(changes, item.problem ? h("span", {class: "tl-note"}, item.problem) : changeWords(item));
    }};
}

/** @param {ChangesOfEdit} item @returns {import("../../core/elements").Child[]} +white −glossy, or another summary */
function changeWords({changes}) {
    if (!changes) return [];
    const {added, removed, more, reordered, sentences, moved} = changes;
    const word = (/** @type {"ins"|"del"} */ kind, /** @type {string} */ sign) => (/** @type {[string, number]} */ [tag, count]) =>
        h(kind, {class: "tl-edit-tag", title: format.plural(count, "caption")}, `${sign}${tag}`);
    const others = [more ? `and ${format.number(more)} more` : "",
        reordered ? `${format.plural(reordered, "caption")} reordered` : "",
        sentences ? `sentences in ${format.plural(sentences, "caption")}` : "",
        moved ? `${format.plural(moved, "file")} moved` : ""].filter(Boolean).join(", ");
    return [added.map(word("ins", "+")), removed.map(word("del", "−")), others ? h("span", {class: "tl-note"}, others) : null];
}

/** Preview of going to an edit. @param {CaptionSet} set @param {Edit} edit @param {() => void} close */
async function openPreview(set, edit, close) {
    const way = await set.ask("history/preview", {edit: edit.number}).catch(() => null);
    if (!way) return;
    const verb = way.back ? "Undo" : "Redo";
    const changes = [format.plural(way.captions, "caption"),
        way.moved ? `${format.plural(way.moved, "file")} moved` : ""].filter(Boolean).join(", ");
    const more = way.captions - way.previews.length;
    const window = openDialog(`${verb} ${format.plural(way.edits, "edit")}: ${changes}`, [
        h("p", {}, way.back ? `Back to before “${edit.label}”. You can redo all of it until you edit something.` : `Up to “${edit.label}”.`),
        h("ul", {class: "tl-previews"}, previewRows(set, way.previews)),
        more > 0 ? h("p", {class: "tl-note"}, `and ${format.number(more)} more`) : null],
    [button("Cancel", {click: () => window.close()}), button(`${verb} ${format.plural(way.edits, "edit")}`, {kind: "primary",
        id: "tl_history_go", click: () => {
            window.close();
            close();
            set.goTo(edit.number, way.seen, way.back);
        }})]);
}
