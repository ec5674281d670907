/** The dialog that adds a result of the webui to the dataset: beside its source, as a new image or for regularization. */

import {dialog as openDialog} from "../../core/dialog.js";
import {failureOf, fill, h, on, setText, store} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {openWebuiTab} from "../../core/webui_form.js";
import {sendFiles} from "../intake/dialog.js";
import {addGalleryButtons} from "./gallery.js";
import {captionOf, fileNameOf, withoutTags} from "./prompt_text.js";
import {sourceOf} from "./sources.js";

/** @typedef {import("../intake/zone.js").Tab} Tab */
/** @typedef {import("./sources.js").Source} Source */
/** @typedef {"edit"|"new"|"regularization"} How */
/** @typedef {{src: string, tab: string, prompt: string}} Shown a result in one of the webui's tabs, or of a run if `tab` is empty */

const KEEP_INFO = "captions.keep-info";

/** Add the buttons below the webui's results, and the dialog behind them. @param {Tab} tab */
export function receiveResults(tab) {
    on("mounted", addGalleryButtons);
    on("add-to-dataset", (shown) => receive(tab, shown));
}

/** @param {Tab} tab @param {Shown} shown */
async function receive(tab, shown) {
    addGalleryButtons();
    const source = shown.tab ? sourceOf(shown.tab) : null;
    if (source && source.folder !== tab.set.folder) tab.folder.value = source.folder;
    if (!tab.set.isOpen || (source && source.folder !== tab.set.folder)) await tab.open();
    if (!tab.set.isOpen) {
        toast("info", "Open the set that the result belongs to, then add it again.");
        return;
    }
    try {
        const response = await fetch(shown.src);
        if (!response.ok) throw new Error(`the webui answered ${response.status}`);
        const blob = await response.blob();
        const file = new File([blob], fileNameOf(shown.src, blob.type), {type: blob.type});
        new ResultDialog(tab, file, shown, source && source.folder === tab.set.folder ? source : null);
    } catch (error) {
        toast("error", `The result cannot be read: ${failureOf(error).message}.`);
    }
}

class ResultDialog {
    /** @param {Tab} tab @param {File} file @param {Shown} shown @param {Source|null} source */
    constructor(tab, file, shown, source) {
        this.tab = tab;
        this.set = tab.set;
        this.file = file;
        this.shown = shown;
        this.source = source;
        /** @type {How} */
        this.how = source ? "edit" : "new";
        /** @type {string[]} */
        this.tags = [];
        /** @type {Set<number>} the places of the tags taken out */
        this.off = new Set();
        const url = URL.createObjectURL(file);
        this.choices = h("div", {class: "tl-verbs", role: "radiogroup", "aria-label": "Add it as"});
        this.chips = h("ul", {class: "tl-resultchips", "aria-label": "Tags of the source"});
        this.chipWords = h("p", {class: "tl-note"}, "Click the tags of what the edit removed.");
        this.caption = h("textarea", {class: "tl-input tl-textarea", id: "tl_result_caption", rows: "3", spellcheck: "false"});
        this.where = h("p", {class: "tl-note", id: "tl_result_where"}, "");
        this.keepInfo = h("input", {type: "checkbox", id: "tl_result_info", checked: store.get(KEEP_INFO, true),
            on: {change: (event) => store.set(KEEP_INFO, event.currentTarget.checked)}});
        this.problem = h("p", {class: "tl-field-problem", role: "alert"}, "");
        const images = h("div", {class: "tl-resultimages"}, source ? h("figure", {}, h("img", {alt: "",
            src: this.set.image({path: source.path, version: ""}, 512)}), h("figcaption", {}, source.path)) : null,
        h("figure", {}, h("img", {alt: "", src: url}), h("figcaption", {}, "result")));
        this.buttons = [button("Add", {kind: "primary", id: "tl_result_go", click: () => this.add(false)})];
        if (shown.tab) this.buttons.unshift(button("Add and go back", {id: "tl_result_back", click: () => this.add(true)}));
        this.window = openDialog("Add to dataset", [images, this.choices, this.where, h("div", {class: "tl-field"},
            h("label", {class: "tl-label", for: this.caption.id}, "Caption"), this.chipWords, this.chips, this.caption),
        h("label", {class: "tl-tick"}, this.keepInfo, "Keep the generation parameters in the file"), this.problem],
        [button("Cancel", {click: () => this.window.close()}), this.buttons]);
        this.window.id = "tl_result";
        this.window.addEventListener("close", () => URL.revokeObjectURL(url));
        this.begin();
    }

    async begin() {
        const {source, set} = this;
        if (source) {
            const asked = {numbers: [source.number], prefix: "", suffix: "", mark: ""};
            const known = source.session === set.session ? await set.ask("picture", asked, {quiet: true}).catch(() => null) : null;
            this.line = known && known.path === source.path ? known.line : source.line;
            this.prose = known ? known.prose : !source.line.includes(set.separator.trim());
            this.tags = this.prose ? [] : this.line.split(set.separator).map((tag) => tag.trim()).filter(Boolean);
        }
        this.choose(this.how);
    }

    /** @param {How} how */
    choose(how) {
        this.how = how;
        /** @type {[How, string][]} */
        const kinds = [["new", "New image"], ["regularization", "Regularization image"]];
        if (this.source) kinds.unshift(["edit", `Edited version of ${this.source.path.split("/").pop()}`]);
        fill(this.choices, kinds.map(([kind, words]) => h("button", {type: "button", role: "radio", data: {kind},
            "aria-checked": String(kind === how), on: {click: () => this.choose(kind)}}, words)));
        const from = how !== "new" && this.source ? this.tags : [];
        const trigger = this.set.activationTag;
        this.off = new Set(how === "regularization" ? from.flatMap((tag, place) => (tag === trigger ? [place] : [])) : []);
        this.caption.value = how !== "new" && this.source ? (this.prose ? this.line || "" : withoutTags(from, this.off, "", this.set.separator))
            : captionOf(this.shown.prompt);
        setText(this.where, WHERE[how]);
        this.drawChips(from);
    }

    /** @param {string[]} tags */
    drawChips(tags) {
        this.chipWords.hidden = !tags.length;
        fill(this.chips, tags.map((tag, place) => h("li", {}, h("button", {type: "button", class: "tl-chip",
            "aria-pressed": String(!this.off.has(place)), on: {click: (event) => {
                if (!this.off.delete(place)) this.off.add(place);
                event.currentTarget.setAttribute("aria-pressed", String(!this.off.has(place)));
                this.caption.value = withoutTags(tags, this.off, this.caption.value, this.set.separator);
            }}}, tag))));
    }

    /** @param {boolean} back whether to return to the tab of the result */
    async add(back) {
        for (const one of this.buttons) one.disabled = true;
        setText(this.problem, "");
        try {
            const intake = await sendFiles(this.set, [{path: this.file.name, file: this.file}]);
            const cell = this.set.current === null ? null : this.set.cells.get(this.set.current);
            const outcome = await this.set.edit("result", {intake, source: this.how !== "new" && this.source ? this.source.path : "",
                target: cell ? cell.folder : "", caption: this.caption.value, regularization: this.how === "regularization",
                keep_info: this.keepInfo.checked});
            if (outcome) {
                this.window.close();
                if (outcome.added && outcome.added.length) this.tab.showNumbers(outcome.added);
                if (back) openWebuiTab(`tab_${this.shown.tab}`, this.shown.tab);
                return;
            }
        } catch (error) {
            setText(this.problem, failureOf(error).message);
        }
        for (const one of this.buttons) one.disabled = false;
    }
}

/** @type {Record<How, string>} */
const WHERE = {edit: "Saved next to its source with -edit in its name, which makes the two a pair.",
    new: "Saved in the folder of the selected image with -made in its name, which marks it as machine-made.",
    regularization: "Saved in the folder reg of the set. Training uses it if the Train tab has it as the regularization folder."};
