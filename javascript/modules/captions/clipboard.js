/** Copying tags from images to others. */

import {h} from "../core/dom.js";
import {format} from "../core/format.js";
import {toast} from "../core/parts.js";
import {captionPreview} from "./dialogs.js";

const MOST_AT_ONCE = 200;

/** @param {string} text @param {string} separator @returns {string[]} its tags without duplicates */
export function tagsIn(text, separator) {
    const parts = text.split(/\r?\n/).flatMap((line) => line.split(separator.trim() || ","));
    /** @type {Map<string, string>} */
    const tags = new Map();
    for (const tag of parts.map((part) => part.trim()).filter(Boolean)) {
        const key = tag.toLowerCase();
        if (!tags.has(key)) tags.set(key, tag);
    }
    return [...tags.values()];
}

export class CaptionClipboard {
    /** @param {import("./set.js").CaptionSet} set @param {() => void} changed called after copying */
    constructor(set, changed) {
        this.set = set;
        this.changed = changed;
        /** @type {string[]} the tags copied last */
        this.tags = [];
        /** Their text in the system clipboard, and whether writing it succeeded. */
        this.text = "";
        this.inSystem = false;
    }

    /** Copy the tags of the selected images, in order and without duplicates. */
    async copy() {
        const {set} = this;
        if (!set.selected.size) {
            toast("info", "Select the images to copy tags from first.");
            return;
        }
        const answer = await set.ask("copied", {numbers: [...set.selected]}).catch(() => null);
        if (!answer) return;
        const images = format.plural(answer.images, "image");
        if (!answer.tags.length) {
            toast("info", answer.sentences ? "Sentences are not copied, and there are no tags." : `No tags in ${images}.`);
            return;
        }
        this.tags = answer.tags;
        this.text = answer.text;
        this.inSystem = await writeText(answer.text);
        this.changed();
        const left = answer.sentences ? ` Sentences of ${format.plural(answer.sentences, "image")} were not copied.` : "";
        toast("good", `Copied ${format.plural(answer.tags.length, "tag")} of ${images}.${left}`);
    }

    /** Add the copied tags to the selected images. @param {string|null} [given] the text in the system clipboard */
    async paste(given = null) {
        const {set} = this;
        const text = (given || "").trim();
        const outside = text && text !== this.text && (this.inSystem || !this.tags.length);
        const tags = outside ? tagsIn(text, set.separator) : this.tags;
        if (!tags.length) {
            toast("info", "No tags were copied yet. Select an image and press Ctrl+C.");
            return;
        }
        if (!set.selected.size) {
            toast("info", "Select the images to paste into first.");
            return;
        }
        const request = {numbers: [...set.selected], operation: {kind: "add", tags, place: "last"},
            activation_tag: set.activationTag};
        if (!outside && tags.length <= MOST_AT_ONCE) {
            await set.edit("apply", request);
            return;
        }
        const answer = await set.ask("preview", request).catch(() => null);
        if (answer) {
            captionPreview(set, answer, `Paste ${format.plural(tags.length, "tag")}`, () => set.edit("apply", request));
        }
    }
}

/** @param {string} text @returns {Promise<boolean>} whether it was written to the system clipboard */
async function writeText(text) {
    if (navigator.clipboard) {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch {
            return false;  // not allowed, but the tags can still be pasted here
        }
    }
    const active = document.activeElement;
    const box = h("textarea", {style: "position: fixed; opacity: 0", value: text, "aria-hidden": "true"});
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");  // the only way without https
    box.remove();
    if (active instanceof HTMLElement) active.focus({preventScroll: true});
    return done;
}
