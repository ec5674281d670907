/** Where images come in: dropped onto the Captions tab, pasted, or chosen with a file picker. */

import {dialog as openDialog} from "../../core/dialog.js";
import {api, failureOf, h, on, setText} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {pathBox} from "../../core/path_box.js";
import {currentTab, inSight, root} from "../../core/shell.js";
import {receiveSamples} from "../causes/window.js";
import {receiveResults} from "../exchange/result.js";
import {importFiles} from "./dialog.js";
import {dropped, filesIn, pasted} from "./files.js";

const PATIENCE = 800;

/**
 * @typedef {object} Tab what the zone needs of the Captions tab
 * @property {import("../set.js").CaptionSet} set
 * @property {HTMLElement} panel
 * @property {HTMLInputElement} folder
 * @property {() => Promise<void>} open opens the folder in `folder`
 * @property {(numbers: number[]) => void} showNumbers
 */

export class IntakeZone {
    /** @param {Tab} tab */
    constructor(tab) {
        this.tab = tab;
        this.depth = 0;
        this.cover = h("div", {class: "tl-drop", hidden: true}, h("p", {}, "Drop images, captions, folders or a zip"));
        this.files = this.picker({multiple: true, id: "tl_intake_files"});
        this.folders = this.picker({webkitdirectory: true, id: "tl_intake_folders"});
        tab.panel.append(this.cover, this.files, this.folders);
        receiveResults(tab);
        receiveSamples(tab);
        on("mounted", () => this.listen());
    }

    /** @param {Record<string, string|boolean>} attributes */
    picker(attributes) {
        return h("input", {type: "file", hidden: true, ...attributes, on: {change: (event) => {
            const files = [...event.currentTarget.files || []];
            event.currentTarget.value = "";
            this.take(files);
        }}});
    }

    listen() {
        root.addEventListener("dragenter", (event) => this.onDrag(event, 1));
        root.addEventListener("dragleave", (event) => this.onDrag(event, -1));
        root.addEventListener("dragover", (event) => {
            if (!this.wants(event)) return;
            event.preventDefault();
            if (event.dataTransfer) event.dataTransfer.dropEffect = root.querySelector("dialog[open]") ? "none" : "copy";
        });
        root.addEventListener("drop", (event) => this.onDrop(event));
    }

    /** Whether files are dragged over the Captions tab. @param {DragEvent} event */
    wants(event) {
        return currentTab() === "captions" && Boolean(event.dataTransfer && event.dataTransfer.types.includes("Files"));
    }

    /** @param {DragEvent} event @param {number} step into or out of an element */
    onDrag(event, step) {
        if (!this.wants(event)) return;
        this.depth = Math.max(0, this.depth + step);
        this.cover.hidden = !this.depth || Boolean(root.querySelector("dialog[open]"));
    }

    /** @param {DragEvent} event */
    onDrop(event) {
        if (!this.wants(event) || !event.dataTransfer) return;
        event.preventDefault();
        this.depth = 0;
        this.cover.hidden = true;
        if (root.querySelector("dialog[open]")) toast("info", "Close this window first, then drop the files.");
        else this.take(dropped(event.dataTransfer));
    }

    /** Take images from the clipboard. @param {ClipboardEvent} event @returns {boolean} whether there were any */
    onPaste(event) {
        const files = event.clipboardData ? [...event.clipboardData.files] : [];
        const elsewhere = event.target instanceof Node && event.target !== document.body && !this.tab.panel.contains(event.target);
        if (!files.length || elsewhere || currentTab() !== "captions" || !inSight() || root.querySelector("dialog[open]")) return false;
        event.preventDefault();
        this.take(pasted(files, new Date()));
        return true;
    }

    /** @param {readonly (FileSystemEntry|File)[]} entries */
    async take(entries) {
        if (!entries.length) return;
        const {set, showNumbers} = this.tab;
        const slow = setTimeout(() => toast("info", "Reading the folders …"), PATIENCE);
        const found = await filesIn(entries);
        clearTimeout(slow);
        if (set.isOpen || await newSet(this.tab)) importFiles(set, found, (numbers) => showNumbers.call(this.tab, numbers));
    }

    /** Let the user choose files or a folder, or tell how else images come in. */
    choose() {
        const window = openDialog("Add images", [
            h("p", {}, this.tab.set.isOpen ? "Drop files, folders or a zip anywhere on this tab, paste an image with Ctrl+V, or choose them here."
                : "A new folder is made for them. You can also drop files, folders or a zip anywhere on this tab."),
            h("p", {class: "tl-note"}, "Images come with their captions (.txt, .caption, .tags) and masks. Nothing is overwritten, and undo " +
                "moves all of it to the trash.")],
        [button("Cancel", {click: () => window.close()}),
            button("Choose a folder …", {icon: "folder", click: () => pick(this.folders)}),
            button("Choose files …", {kind: "primary", icon: "image", id: "tl_intake_pick", click: () => pick(this.files)})]);
        const pick = (/** @type {HTMLInputElement} */ input) => {
            window.close();
            input.click();
        };
    }
}

/** Ask for the name and place of a new set, make its folder and open it. @param {Tab} tab @returns {Promise<boolean>} whether it is open */
function newSet(tab) {
    return new Promise((resolve) => {
        const name = h("input", {type: "text", class: "tl-input", id: "tl_new_set_name", spellcheck: "false", autocomplete: "off",
            on: {keydown: (event) => {
                if (event.key === "Enter") make();
            }}});
        const parent = h("input", {type: "text", class: "tl-input", id: "tl_new_set_parent", value: folderAbove(tab.folder.value)});
        const problem = h("p", {class: "tl-field-problem", role: "alert"}, "");
        let made = false;
        const make = async () => {
            setText(problem, "");
            try {
                const {folder} = await api("captions/intake/new-set", {body: {parent: parent.value, name: name.value}, quiet: true});
                tab.folder.value = folder;
                await tab.open();
                made = tab.set.isOpen && tab.set.folder === folder;
                window.close();
            } catch (error) {
                setText(problem, failureOf(error).message);
            }
        };
        const window = openDialog("Start a new set", [h("p", {}, "No set is open. A new folder is made for these images."),
            h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: name.id}, "Name of the new folder"), name),
            h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: parent.id}, "In this folder"),
                pathBox(parent, "images", {what: "the folder for the new set"})), problem],
        [button("Cancel", {click: () => window.close()}), button("Make the folder", {kind: "primary", id: "tl_new_set_go", click: make})]);
        window.addEventListener("close", () => resolve(made));
        name.focus();
    });
}

/** @param {string} path @returns {string} */
function folderAbove(path) {
    return path.trim().replace(/[\\/]+$/, "").replace(/[\\/][^\\/]*$/, "");
}
