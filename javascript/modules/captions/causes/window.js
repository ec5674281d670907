/** The window "What is wrong here?": from a bad sample back to the images and captions that caused it. */

import {dialog} from "../../core/dialog.js";
import {api, emit, failureOf, h, on, setText} from "../../core/dom.js";
import {button, setLabel, toast} from "../../core/parts.js";
import {showTab} from "../../core/shell.js";
import {runs} from "../../runs/watch.js";
import {datasetSettings} from "../../train/family.js";
import {form} from "../../train/form.js";
import {captionConflict} from "../dialogs.js";
import {isWhole} from "../image/frame.js";
import {Stage} from "../image/stage.js";
import {CaptionSet} from "../set.js";
import {CauseLists} from "./lists.js";
import {MarkFrame} from "./mark.js";
import {Naming} from "./naming.js";
import {NearestList} from "./nearest.js";
import {originOf, runOfPrompt} from "./origin.js";
import {readSample} from "./sample.js";

/** @typedef {import("../intake/zone.js").Tab} Tab */
/** @typedef {import("./origin.js").Origin} Origin */
/** @typedef {{src: string, prompt: string, run: string}} Asked */

/** Open the window whenever a sample is asked about. @param {Tab} tab */
export function receiveSamples(tab) {
    on("what-is-wrong", (asked) => receive(tab, asked));
}

/** @param {Tab} tab @param {Asked} asked */
async function receive(tab, asked) {
    try {
        const [sample, origin] = await Promise.all([readSample(asked.src), findOrigin(asked)]);
        const window = new CauseWindow(tab, asked, sample, origin);
        await window.open();
    } catch (error) {
        toast("error", `The sample cannot be read: ${failureOf(error).message}.`);
    }
}

/** The set that the sample's run was trained on; else that of the form. @param {Asked} asked @returns {Promise<Origin>} */
async function findOrigin({run, prompt}) {
    const id = run || runOfPrompt(runs.all(), prompt);
    const known = id ? runs.model(id).job || (await api(`runs/${encodeURIComponent(id)}?since=0`).catch(() => null))?.job : null;
    return originOf(known) || {folder: form.text("dataset.train_data_dir"), trigger: form.text("dataset.activation_tag").trim(), settings: {}, ofRun: false};
}

class CauseWindow {
    /** @param {Tab} tab @param {Asked} asked @param {import("./sample.js").Sample} image @param {Origin} origin */
    constructor(tab, asked, image, origin) {
        this.tab = tab;
        this.prompt = asked.prompt;
        this.image = image;
        this.origin = origin;
        this.sample = "";
        this.tag = "";
        this.question = 0;
        this.set = new CaptionSet(() => ({...datasetSettings(), ...origin.settings}));
        this.folder = h("input", {type: "text", class: "tl-input", id: "tl_cause_folder", spellcheck: "false", value: origin.folder,
            "aria-label": "Folder of the training images", placeholder: "the folder of the training images",
            on: {keydown: (event) => event.key === "Enter" && this.open()}});
        this.problem = h("p", {class: "tl-field-problem", role: "alert", id: "tl_cause_problem"}, "");
        this.frame = new MarkFrame(image, () => this.marked());
        this.stage = new Stage(image, () => image.url, this.frame, "The sample. Drag or click to mark what is wrong.");
        this.naming = new Naming(this.set, {marked: () => this.about, chosen: (tag) => this.find(tag), tagged: () => this.tagged()});
        this.lists = new CauseLists(this.set, {again: () => this.edited(), show: (numbers) => this.show(numbers),
            tagSet: (numbers) => this.naming.start("set", numbers), trigger: () => origin.trigger, hasTagger: () => this.naming.hasTagger});
        this.near = new NearestList(this.set, {sample: () => this.sample, show: (numbers) => this.show(numbers)});
        this.clear = button("Clear the mark", {small: true, kind: "quiet", hidden: true, click: () =>
            this.frame.set({left: 0, top: 0, right: image.width, bottom: image.height})});
        this.undo = button("Undo", {icon: "reset", id: "tl_cause_undo", disabled: true, click: async () => {
            if (await this.set.undo()) this.edited();
        }});
        this.work = h("div", {class: "tl-cause-part", hidden: true}, this.naming.element, this.lists.element, this.near.element);
        this.set.when("conflict", captionConflict);
        this.set.when("edited", () => emit("captions-changed", {folder: this.set.folder, run: ""}));
        this.set.when("busy", (busy) => !busy && this.showUndo());
        this.window = this.build();
    }

    build() {
        this.frame.attach(this.stage);
        const element = dialog("What is wrong here?", [h("div", {class: "tl-cause-columns"},
            h("div", {class: "tl-cause-left"}, h("div", {class: "tl-stage-place"}, this.stage.element, this.stage.zoomButtons()),
                h("div", {class: "tl-row"}, h("p", {class: "tl-note"}, this.prompt || "No prompt is known."), this.clear)),
            h("div", {class: "tl-cause-right"}, h("div", {class: "tl-row"}, this.folder,
                button("Open", {small: true, id: "tl_cause_open", click: () => this.open()})), this.problem, this.work))],
        [this.undo, button("Close", {click: () => element.close()})]);
        element.id = "tl_cause";
        element.classList.add("tl-full-dialog", "tl-stage-dialog");
        element.addEventListener("close", () => this.near.close());
        this.stage.fit();
        return element;
    }

    /** @returns {import("./naming.js").Marked} */
    get about() {
        const {frame, size} = this.frame;
        return {sample: this.sample, prompt: this.prompt,
            frame: isWhole(frame, size) ? null : [frame.left, frame.top, frame.right, frame.bottom]};
    }

    marked() {
        if (!this.naming) return;
        const whole = !this.about.frame;
        this.clear.hidden = whole;
        setLabel(this.naming.go, whole ? "Name it" : "Name what is marked");
    }

    /** Open the set, and send the sample to it. */
    async open() {
        setText(this.problem, "");
        const folder = this.folder.value.trim();
        if (!folder) {
            setText(this.problem, "It is not known what this image was trained on. Type the folder of the training images.");
            return;
        }
        try {
            await this.set.open(folder);
            this.sample = (await this.set.ask("causes/sample", {image: this.image.content}, {quiet: true})).sample;
        } catch (error) {
            const moved = this.origin.ofRun && folder === this.origin.folder ? " The set of this run may have been moved: type where it is now." : "";
            setText(this.problem, `${failureOf(error).message}${moved}`);
            this.work.hidden = true;
            return;
        }
        this.work.hidden = false;
        await this.naming.load();
        this.near.search();
        if (this.tag) this.find(this.tag);
    }

    /** @param {string} tag */
    async find(tag) {
        const mine = this.question += 1;
        this.tag = tag;
        try {
            const facts = await this.set.ask("causes/tag", {tag, prompt: this.prompt, activation_tag: this.origin.trigger}, {quiet: true});
            if (mine !== this.question) return;
            this.lists.show(facts);
            this.set.take(facts);
            this.showUndo();
        } catch (error) {
            if (mine === this.question) this.lists.fail(failureOf(error).message);
        }
    }

    /** The tagger has seen the sample, or images of the set. */
    tagged() {
        if (this.naming.task === "name" || !this.tag) this.near.search();
        if (this.tag) this.find(this.tag);
    }

    edited() {
        if (this.tag) this.find(this.tag);
    }

    showUndo() {
        const label = this.set.about && this.set.about.undo;
        this.undo.disabled = !label;
        this.undo.title = label ? `Undo: ${label}` : "Nothing to undo";
    }

    /** Show images in the caption editor. @param {number[]} numbers */
    async show(numbers) {
        this.window.close();
        showTab("captions");
        const {tab, set} = this;
        if (tab.set.folder !== set.folder || !tab.set.isOpen) {
            tab.folder.value = set.folder;
            await tab.open();
        }
        if (tab.set.folder === set.folder) tab.showNumbers(numbers);
    }
}
