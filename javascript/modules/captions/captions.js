/** The sub-tab "Captions": a dataset folder with its images, captions and tags, and the tools to edit them. */

import {emit, failureOf, fill, h, on, setText, store} from "../core/dom.js";
import {format} from "../core/format.js";
import {button as makeButton, emptyState, icon, toast} from "../core/parts.js";
import {pathBox} from "../core/path_box.js";
import {currentTab, inSight, registerTab} from "../core/shell.js";
import {form} from "../train/form.js";
import {triggerNote} from "../train/images/trigger_word.js";
import {CaptionActions} from "./actions.js";
import {CaptionClipboard} from "./clipboard.js";
import {captionConflict, captionHelp, captionKeys} from "./dialogs.js";
import {DoctorPanel} from "./doctor.js";
import {CAPTION_SIZES, CaptionGrid} from "./grid.js";
import {GrowPanel} from "./grow/grow.js";
import {ConsolidatePanel, DoubtfulPanel} from "./knowledge.js";
import {IntakeZone} from "./intake/zone.js";
import {CaptionPicture} from "./picture.js";
import {filterWords, makeMasksButton, maskSwitch} from "./masks/bar.js";
import {SelectedImages} from "./selected.js";
import {showImages, suspectsButton} from "./image/suspects.js";
import {CaptionSet} from "./set.js";
import {TagList, onOffHint} from "./tag_list.js";
import {captionHistory} from "./windows/history.js";
import {importCaptions} from "./windows/incoming.js";
import {renameTag} from "./windows/rename.js";

const FOLDER = "dataset.train_data_dir";
const TAG = "dataset.activation_tag";
/** @typedef {"pictures"|"doctor"|"consolidate"|"doubtful"|"tagger"|"grow"} View */
/** @type {[View, string][]} */
const VIEWS = [["pictures", "Images"], ["doctor", "Doctor"], ["consolidate", "Consolidate"],
    ["doubtful", "Doubtful tags"], ["tagger", "Tagger"], ["grow", "Grow"]];
const SORTS = {name: "by name", newest: "newest first", tags: "fewest tags first", "-tags": "most tags first",
    size: "smallest first", "-size": "largest first", caption: "by caption"};

class CaptionsTab {
    /** @param {HTMLElement} panel */
    constructor(panel) {
        const set = this.set = new CaptionSet();
        this.panel = panel;
        /** @type {View} */
        this.view = "pictures";
        /** Whether captions changed since the Train tab last read them, and whether opening a folder was tried. */
        this.changed = this.tried = false;
        /** The folder that was opened, and the trigger word and revision of the last check. */
        this.opened = this.activationKey = "";
        const setFilter = (/** @type {string} */ text) => this.setFilter(text);
        this.picture = new CaptionPicture(set, setFilter);
        this.grid = new CaptionGrid(set, {open: () => this.picture.whenShown(() => this.grid.isFocused && this.picture.focus()), remove: () => this.remove()});
        this.tagList = new TagList(set, setFilter, (tag) => renameTag(set, tag, (name) => this.tagList.renamed(tag, name)));
        this.clipboard = new CaptionClipboard(set, () => this.selected.changed());
        this.selected = new SelectedImages(set, this.clipboard, () => this.tagSelected());
        this.picture.element.prepend(this.selected.element);
        this.actions = new CaptionActions(set);
        this.views = {doctor: new DoctorPanel(set, {show: (numbers) => this.showNumbers(numbers),
            tagger: () => this.showView("tagger")}),
        consolidate: new ConsolidatePanel(set), doubtful: new DoubtfulPanel(set), grow: new GrowPanel(set)};
        this.folder = h("input", {type: "text", class: "tl-input", id: "tl_captions_folder", spellcheck: "false",
            autocomplete: "off", placeholder: "Folder with your images",
            value: form.text(FOLDER), "aria-label": "Folder with your images", on: {keydown: (event) => {
                if (event.key === "Enter") this.open();
            }}});
        this.tag = h("input", {type: "text", class: "tl-input", spellcheck: "false", placeholder: "none yet",
            value: form.text(TAG), id: "tl_captions_tag",
            on: {change: (event) => form.set(TAG, event.currentTarget.value.trim())}});
        this.openButton = makeButton("Open", {kind: "primary", id: "tl_captions_open", click: () => this.open()});
        this.problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.mind = h("div", {class: "tl-activation", hidden: true});
        this.intro = emptyState("Tags make or break a LoRA", "Open the folder with your images. Captions are .txt " +
            "files beside them; every change is saved at once, and everything can be undone, even tomorrow. Or drop images here.",
        makeButton("Start a new set …", {icon: "plus", id: "tl_new_set", click: () => this.intake.choose()}));
        this.intro.classList.add("tl-capintro");
        this.tabs = VIEWS.map(([view, words]) => h("button", {type: "button", role: "tab", data: {view},
            "aria-selected": String(view === "pictures"), on: {click: () => this.showView(view)}}, words));
        this.undo = makeButton("Undo", {small: true, id: "tl_captions_undo", click: () => set.undo()});
        this.redo = makeButton("Redo", {small: true, id: "tl_captions_redo", click: () => set.redo()});
        this.filter = h("input", {type: "search", class: "tl-input tl-filter", id: "tl_captions_filter",
            spellcheck: "false", autocomplete: "off", placeholder: "Filter: red boots AND NOT solo    press /", list: "tl_filter_words",
            "aria-label": "Filter", "aria-describedby": "tl_captions_filter_problem",
            on: {input: (event) => set.setFilter(event.currentTarget.value), keydown: (event) => this.onFilterKey(event)}});
        this.filterProblem = h("div", {class: "tl-filter-problem", id: "tl_captions_filter_problem",
            "aria-live": "polite", hidden: true});
        this.count = h("span", {class: "tl-capcount", "aria-live": "polite"}, "");
        this.suspects = suspectsButton(set, (numbers) => this.showNumbers(numbers));
        this.bar = this.filterBar();
        this.side = h("div", {class: "tl-capside"}, this.tagList.element);
        /** @type {Record<View, HTMLElement>} */
        this.pages = {pictures: this.grid.element, doctor: this.views.doctor.element,
            consolidate: this.views.consolidate.element, doubtful: this.views.doubtful.element, grow: this.views.grow.element,
            tagger: h("div", {class: "tl-advice"}, h("div", {id: "tl-tagging-slot"}))};
        for (const [view, page] of Object.entries(this.pages)) page.hidden = view !== "pictures";
        this.grid3 = h("div", {class: "tl-capcolumns"}, this.side,
            h("div", {class: "tl-capmiddle"}, this.bar, Object.values(this.pages)), this.picture.element);
        this.work = h("div", {class: "tl-capwork", hidden: true}, this.toolbar(), this.grid3, this.actions.element);
        fill(panel, h("div", {class: "tl-capopen"}, pathBox(this.folder, "images", {what: "the folder with your images",
            browsed: () => this.open()}),
            h("label", {class: "tl-captag", for: "tl_captions_tag"}, h("span", {class: "tl-label"}, "Trigger word"),
                this.tag), this.openButton), triggerNote(), this.problem, this.mind, this.intro, this.work);
        this.intake = new IntakeZone(this);
        this.listen();
    }

    toolbar() {
        const tabs = h("div", {class: "tl-capviews", role: "tablist", "aria-label": "Views of the dataset"}, this.tabs);
        return h("div", {class: "tl-captoolbar"}, tabs, h("div", {class: "tl-row"}, this.undo, this.redo,
            makeButton("History", {small: true, kind: "quiet", id: "tl_history_open", click: () => captionHistory(this.set)}),
            makeButton("Add images", {small: true, kind: "quiet", id: "tl_intake_open", click: () => this.intake.choose()}),
            makeButton("Import captions", {small: true, kind: "quiet", id: "tl_captions_import_open", click: () => importCaptions(this.set)}),
            makeMasksButton(this.set),
            makeButton("Keys", {small: true, kind: "quiet", click: () => captionKeys()})));
    }

    filterBar() {
        const sort = h("select", {class: "tl-input tl-select", "aria-label": "Order", value: this.set.sort,
            on: {change: (event) => this.set.setSort(event.currentTarget.value)}},
        Object.entries(SORTS).map(([value, words]) => h("option", {value}, words)));
        const size = h("select", {class: "tl-input tl-select", "aria-label": "Size of the images",
            value: store.get("captions.size", "medium"),
            on: {change: (event) => this.grid.setSize(event.currentTarget.value)}},
        CAPTION_SIZES.map((name) => h("option", {value: name}, name)));
        return h("div", {class: "tl-filterbar"}, h("div", {class: "tl-filterbox"}, this.filter, filterWords("tl_filter_words"), makeButton("How to filter",
            {kind: "quiet", icon: "info", iconOnly: true, click: () => this.explain()})),
        this.filterProblem, h("div", {class: "tl-capline"}, this.count,
            makeButton("Invert selection", {small: true, kind: "quiet", click: () => this.set.invert()}),
            makeButton("Next without a caption", {small: true, kind: "quiet", click: () => this.jump()}), this.suspects, maskSwitch(), sort, size), onOffHint(this.set));
    }

    listen() {
        const {set} = this;
        set.when("view", () => this.refresh());
        set.when("busy", (busy) => this.panel.classList.toggle("tl-busy", busy));
        set.when("problem", (problem) => this.showProblem(problem, set.shown.hint));
        set.when("conflict", (conflict) => captionConflict(conflict));
        set.when("selection", () => this.notifySelection(false));
        set.when("edited", () => {
            this.changed = true;
            this.reloadView();
        });
        on("mounted", () => document.getElementById("tl-tab-train")?.addEventListener("click", () => this.reloadIfChanged()));
        this.panel.addEventListener("keydown", (event) => this.onKey(event));
        document.addEventListener("paste", (event) => this.onPaste(event));
        window.addEventListener("focus", () => {
            if (currentTab() === "captions" && inSight()) set.refresh();
        });
        on("show-images", ({folder, paths}) => showImages(this, folder, paths));
        on("captions-changed", () => set.refresh({tagged: true}));
        on("setting", ({keys}) => {
            if (keys.includes(FOLDER) && document.activeElement !== this.folder) this.folder.value = form.text(FOLDER);
            if (keys.includes(TAG)) {
                if (document.activeElement !== this.tag) this.tag.value = form.text(TAG);
                this.checkActivation();
            }
        });
    }

    /** Let the Train tab, which shows captions too, reload them when it is shown after an edit. */
    reloadIfChanged() {
        if (this.changed && this.set.isOpen) emit("reload");
        this.changed = false;
    }

    shown() {
        const folder = form.text(FOLDER);
        if (!this.set.isOpen && folder && !this.tried) this.open();
        else if (this.set.isOpen && folder && this.folder.value === folder && this.opened !== folder) this.open();
        else this.set.refresh();
    }

    async open() {
        const folder = this.folder.value.trim();
        this.tried = true;
        setText(this.problem, folder ? "" : "Type or paste the path of the folder that holds your images.");
        if (!folder) return;
        this.openButton.disabled = true;
        try {
            await this.set.turn;  // edits that wait mean images of the open set by their numbers
            await this.set.open(folder);
            this.opened = folder;
            if (form.get(FOLDER) !== folder) {
                form.set(FOLDER, folder);
                emit("reload");
            }
            this.intro.hidden = true;
            this.openButton.classList.replace("tl-primary", "tl-secondary");
            this.work.hidden = false;
            this.filter.value = this.set.filter;
            this.grid.relayout();
            this.reloadView();
        } catch (error) {
            const {message, problems} = failureOf(error);
            setText(this.problem, [...new Set([message, ...problems])].join(" "));
        }
        this.openButton.disabled = false;
    }

    refresh() {
        const {set} = this;
        const {about} = set;
        if (!about) return;
        const all = set.numbers.length === about.pictures;
        const bare = set.shown.without_caption;
        setText(this.count, `${all ? format.plural(about.pictures, "image") : `${format.number(set.numbers.length)} of ` +
            `${format.plural(about.pictures, "image")}`}${bare ? `, ${format.number(bare)} without a caption` : ""}${set.shown.masks ? `, ${format.number(set.shown.masks)} with a mask` : ""}`);
        for (const {button, label, word} of [{button: this.undo, label: about.undo, word: "Undo"},
            {button: this.redo, label: about.redo, word: "Redo"}]) {
            button.disabled = !label;
            button.title = label ? `${word}: ${label}` : `Nothing to ${word.toLowerCase()}`;
        }
        this.checkActivation();
    }

    async checkActivation() {
        const tag = this.set.activationTag;
        const key = `${tag}:${this.set.about ? this.set.about.revision : 0}`;
        if (key === this.activationKey || !this.set.isOpen) return;
        this.activationKey = key;
        const answer = tag ? await this.set.ask("activation", {tag}, {quiet: true}).catch(() => null) : {numbers: []};
        if (key !== this.activationKey) return;  // asked again
        if (!answer) this.activationKey = "";  // asked again when the set is shown again
        const numbers = answer ? answer.numbers : [];
        this.mind.hidden = !numbers.length;
        if (!numbers.length) return;
        fill(this.mind, icon("warning"), h("span", {}, `${tag} is not first in ${format.plural(numbers.length, "caption")}. ` +
            "A caption without it makes it unreliable."), makeButton(numbers.length > 1 ? "Show them" : "Show it", {small: true, click: () => this.showNumbers(numbers)}),
        makeButton("Put it first", {small: true, kind: "primary", click: () => this.set.edit("apply", {numbers,
            operation: {kind: "add", tags: [tag], place: "first", include_prose: true}, activation_tag: tag})}));
    }

    /**
     * @param {import("./answers").FilterProblem|null} problem
     * @param {import("./answers").FilterProblem|null} hint shown if there is no problem
     */
    showProblem(problem, hint) {
        const said = problem || hint;
        this.filterProblem.hidden = !said;
        this.filter.classList.toggle("tl-wrong", Boolean(problem));
        if (!said) return;
        const {text, start, end} = said;
        const typed = this.set.filter;
        fill(this.filterProblem, h("code", {}, typed.slice(0, start), h("mark", {}, typed.slice(start, end) || " "), typed.slice(end)),
            h("span", {}, text));
    }

    /** @param {string} text */
    setFilter(text) {
        this.filter.value = text;
        this.set.setFilter(text, true);
    }

    /** Show images that no filter describes: select them and scroll to the first. @param {number[]} numbers */
    showNumbers(numbers) {
        this.showView("pictures");
        this.setFilter("");
        this.set.select(numbers);
        this.grid.reveal(numbers[0]);
        this.grid.element.focus({preventScroll: true});
    }

    /** Go to the next shown image without a caption. */
    async jump() {
        const next = await this.set.nextWithoutCaption().catch(() => undefined);
        if (next === null) toast("info", "Every image shown has a caption.");
        if (typeof next !== "number") return;  // a toast says why
        this.set.choose(next);
        this.grid.reveal(next);
    }

    /** Inform the tagger's panel of the selection. @param {boolean} only whether it should tag only these images */
    notifySelection(only) {
        const numbers = [...this.set.selected];
        const paths = async () => (await this.set.ask("paths", {numbers})).paths;
        emit("captions-selected", {count: numbers.length, only, paths});
    }

    tagSelected() {
        this.showView("tagger");
        this.notifySelection(true);
    }

    /** Paste tags from the system clipboard, unless a text box has the focus. @param {ClipboardEvent} event */
    onPaste(event) {
        if (this.intake.onPaste(event)) return;
        const {target} = event;
        const typing = target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
        const elsewhere = target instanceof Node && target !== document.body && !this.panel.contains(target);
        if (typing || elsewhere || this.view !== "pictures" || !this.set.isOpen || currentTab() !== "captions" || !inSight()) return;
        event.preventDefault();
        this.clipboard.paste(event.clipboardData ? event.clipboardData.getData("text/plain") : null);
    }

    /** @param {View} view */
    showView(view) {
        this.view = view;
        for (const button of this.tabs) button.setAttribute("aria-selected", String(button.dataset.view === view));
        for (const [name, page] of Object.entries(this.pages)) page.hidden = name !== view;
        this.bar.hidden = view !== "pictures";
        this.side.hidden = view !== "pictures";
        this.actions.element.hidden = view !== "pictures";
        this.grid3.classList.toggle("tl-wide-middle", view !== "pictures");
        this.grid3.classList.toggle("tl-alone", ["tagger", "grow"].includes(view));
        this.picture.element.hidden = ["tagger", "grow"].includes(view);
        if (view === "pictures") this.grid.relayout();
        this.reloadView();
    }

    reloadView() {
        if (!this.set.isOpen) return;
        if (this.view === "doctor") this.views.doctor.load();
        else if (this.panel.classList.contains("tl-busy")) return;
        else if (this.view === "consolidate") this.views.consolidate.load();
        else if (this.view === "doubtful") this.views.doubtful.load();
        else if (this.view === "grow") this.views.grow.load();
    }

    async remove() {
        const {current} = this.set;
        const numbers = this.set.selected.size ? this.set.selectedShown : this.set.numbers.filter((number) => number === current);
        if (!numbers.length) return;
        const at = this.set.numbers.indexOf(numbers[0]);
        await this.set.edit("delete", {numbers});
        const next = this.set.numbers[Math.min(at, this.set.numbers.length - 1)];
        if (next !== undefined && this.set.current === null) this.set.choose(next);
    }

    /** @param {KeyboardEvent} event */
    onFilterKey(event) {
        if (event.key === "Escape" && this.filter.value) {
            this.setFilter("");
        } else if (event.key === "Enter" || event.key === "ArrowDown" || event.key === "Escape") {
            this.grid.element.focus({preventScroll: true});
            if (this.set.current === null || !this.set.numbers.includes(this.set.current)) this.grid.move(0);
        } else {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {KeyboardEvent} event */
    onKey(event) {
        const {target} = event;
        if (!(target instanceof Element)) return;
        const typing = target.matches("input:not([type=checkbox]), textarea, select");
        const control = event.ctrlKey || event.metaKey;
        const key = event.key.toLowerCase();
        if (control && !typing && key === "z") {
            if (event.shiftKey) this.set.redo();
            else this.set.undo();
        } else if (control && !typing && key === "y") {
            this.set.redo();
        } else if (control && !typing && !event.shiftKey && key === "i" && this.view === "pictures") {
            this.set.invert();
        } else if (control && !typing && !event.shiftKey && key === "j" && this.view === "pictures") {
            this.jump();
        } else if (control && !typing && key === "c" && this.view === "pictures" && !String(window.getSelection())) {
            this.clipboard.copy();
        } else if (event.key === "/" && !typing) {
            if (this.view !== "pictures") this.showView("pictures");
            this.filter.focus();
            this.filter.select();
        } else if (event.key === "Escape" && this.picture.element.contains(target)) {
            this.grid.element.focus({preventScroll: true});
        } else {
            return;
        }
        event.preventDefault();
    }

    explain() {
        const rows = [["red boots AND NOT solo", "tags; also OR and brackets, a comma means AND"], ["*hair, b?y", "* for any letters, ? for one"],
            ['"saber (fate)"', "a tag exactly as it is"], ['text:"sitting on"', "words in the caption"], ["nocaption, prose", "no caption; sentences"],
            ["size<512, width>=768, ratio>1.5", "pixels; size is the shorter side"], ["tags<5, tokens>75, chars!=0", "how many the caption has; tags:>5 is the same as tags>5"],
            ["mask, nomask", "a mask file or none; the tag mask in quotes"], ["weight<1, repeats=0", "the image's loss weight and repeats; 0 repeats leave it out"],
            ["bucket:512x768", "trained at this size"], ["folder:saber, name:IMG, path:set/IMG", "part of its path or name"],
            ["name:IMG*", "with * or ?, the whole name"]];
        captionHelp("How to filter", rows);
    }
}

/** @type {CaptionsTab|null} */
let tab = null;
registerTab({id: "captions", title: "Captions", order: 10, build: (panel) => {
    tab = new CaptionsTab(panel);
}, shown: () => tab && tab.shown()});
