/** The dialog "Make masks": automatic masks for the selected images or all, with a preview on one image. */

import {api, failureOf, fill, h, later, setText} from "../../core/dom.js";
import {dialog as openDialog} from "../../core/dialog.js";
import {format} from "../../core/format.js";
import {button, findings, setLabel, unread} from "../../core/parts.js";
import {TagForm, tagField} from "../tag_form.js";
import {TagRun} from "../tag_run.js";
import {doneWords, madeCount, METHOD_FIELDS} from "./make_words.js";

/** @typedef {import("../set.js").CaptionSet} CaptionSet */
/** @typedef {import("../answers").MaskFacts} MaskFacts */
/** @typedef {import("../answers").MaskingFacts} MaskingFacts */
/** @typedef {import("../answers").MaskPreview} MaskPreview */

const METHODS = {border: "Background by border color", face: "Head and shoulders around faces", subject: "Subject, by a model"};
const MODES = {"if-missing": "Keep them: only images without a mask", "replace-automatic": "Replace those made automatically",
    "replace-all": "Replace all, also those painted by hand"};
const PROVIDERS = {auto: "the fastest available", cuda: "NVIDIA GPU (CUDA)", rocm: "AMD GPU (ROCm)",
    directml: "Windows GPU (DirectML)", cpu: "CPU"};
const UNKEPT = ["write.mode", "mask.download", "mask.models_dir", "dataset.train_data_dir", "dataset.images"];
const OTHER = "\u0000other";

/** @param {CaptionSet} set */
export async function makeMasks(set) {
    const number = set.current ?? set.numbers[0];
    try {
        const answer = await api("masks");
        // Asked for, since the set forgets it while it is being read again.
        const {cells} = await set.ask("cells", {numbers: number === undefined ? [] : [number]});
        new MaskMaker(set, answer, cells[0] || null);
    } catch {
        // a toast shows the error
    }
}

class MaskMaker {
    /** @param {CaptionSet} set @param {MaskingFacts} answer @param {import("../answers").Cell|null} cell for the preview */
    constructor(set, answer, cell) {
        this.set = set;
        this.models = answer.models;
        this.selectedOnly = set.selected.size > 1;
        this.cell = cell;
        /** @type {MaskFacts} of the images that get a mask */
        this.facts = {images: 0, masks: 0, automatic: 0};
        /** Whether the run at work only makes a preview, and the number of the last preview asked for. */
        this.previewing = false;
        this.asked = 0;
        this.form = new TagForm(answer.groups.flatMap((group) => group.settings), "masking", UNKEPT);
        this.run = new TagRun((ended) => this.runChanged(ended), {route: "masks/runs", outcome: doneWords, id: "tl_masks_run",
            lost: "The run was interrupted. The masks made so far are kept."});
        this.whom = ["selected", "shown"].map((who) => h("button", {type: "button", role: "radio", data: {who}, on: {click: () => {
            this.selectedOnly = who === "selected";
            this.count();
        }}}, ""));
        this.words = h("p", {class: "tl-note", "aria-live": "polite"});
        this.problems = h("div", {});
        this.uncounted = h("div", {});
        this.about = h("p", {class: "tl-note"});
        this.modelChoice = h("select", {class: "tl-input tl-select", on: {change: (event) => this.chooseModel(event.currentTarget.value)}});
        this.path = h("input", {type: "text", class: "tl-input", spellcheck: "false", "aria-label": "ONNX file",
            placeholder: "/path/of/model.onnx", on: {input: (event) => this.form.set("mask.model", event.currentTarget.value.trim())}});
        this.picture = h("img", {class: "tl-maskpreview-image", alt: ""});
        this.overlay = h("img", {class: "tl-maskpreview-mask", alt: "", hidden: true});
        this.share = h("p", {class: "tl-note", "aria-live": "polite"});
        this.preview = button("Preview", {small: true, id: "tl_masks_preview", click: () => this.showPreview()});
        this.start = button("Make masks", {kind: "primary", icon: "play", id: "tl_masks_start", click: () => this.go("")});
        this.remove = button("Remove masks", {kind: "quiet", icon: "trash", id: "tl_masks_remove", click: () => this.removeMasks()});
        this.fields = this.build(answer.models_dir);
        this.dialog = openDialog("Make masks", [this.body()], [this.remove, button("Close", {click: () => this.dialog.close()}), this.start]);
        this.dialog.id = "tl_masks";
        this.dialog.classList.add("tl-masks-dialog");
        this.form.changedBy = () => this.refresh();
        this.previewSoon = later(() => this.showPreview(), 300);
        this.showPicture();
        this.listModels();
        this.refresh();
        this.count();
        if (answer.run) this.run.watch(answer.run.id);
    }

    /** @param {string} folder of the models @returns {Map<string, HTMLElement>} by setting */
    build(folder) {
        const words = {...METHODS, ...MODES, ...PROVIDERS};
        /** @type {Map<string, HTMLElement>} */
        const fields = new Map();
        for (const key of ["mask.method", "mask.tolerance", "mask.enclosed", "mask.head_factor", "mask.model", "mask.threshold",
            "mask.provider", "mask.grow", "mask.feather", "write.mode"]) {
            fields.set(key, tagField(this.form, key, {words, wide: ["mask.method", "mask.model", "write.mode"].includes(key),
                control: key === "mask.model" ? this.modelChoice : undefined}));
        }
        const shown = this.form.fields.get("mask.model");
        if (shown) shown.show = () => this.listModels();
        fields.get("mask.model")?.append(this.path, this.about, h("p", {class: "tl-note"},
            `Models are kept in ${folder}, each in a folder of its own name.`));
        const mode = fields.get("write.mode")?.querySelector("option[value=preview]");
        if (mode) mode.remove();
        return fields;
    }

    body() {
        return h("div", {class: "tl-masks-columns"},
            h("div", {class: "tl-masks-form"}, h("div", {class: "tl-row"}, h("span", {class: "tl-action-word"}, "For"),
                h("div", {class: "tl-whom", role: "radiogroup", "aria-label": "For which images"}, this.whom)),
            h("div", {class: "tl-fields"}, [...this.fields.values()]), this.words, this.uncounted, this.problems, this.run.element),
            h("div", {class: "tl-masks-preview"}, h("div", {class: "tl-maskpreview"}, this.picture, this.overlay),
                h("div", {class: "tl-row"}, this.preview, this.share)));
    }

    showPicture() {
        const {cell} = this;
        if (cell) this.picture.src = this.set.image(cell, 512);
        this.picture.alt = cell ? cell.name : "";
    }

    /** Whether to act on the selection instead of all images shown. */
    get numbers() {
        return this.selectedOnly ? [...this.set.selected] : this.set.numbers;
    }

    listModels() {
        const model = this.form.text("mask.model");
        const known = this.models.some(({name}) => name === model);
        fill(this.modelChoice, this.models.map(({name, about, here, megabytes}) => h("option", {value: name},
            `${name} – ${about}${here ? "" : ` (not downloaded yet, ${megabytes} MB)`}`)), h("option", {value: OTHER}, "Another ONNX file …"));
        this.modelChoice.value = known ? model : OTHER;
        this.path.hidden = known;
        if (!known) this.path.value = model;
    }

    /** @param {string} name */
    chooseModel(name) {
        this.path.hidden = name !== OTHER;
        this.form.set("mask.model", name === OTHER ? this.path.value.trim() : name);
        if (name === OTHER) this.path.focus();
    }

    /** @returns {import("../answers").MaskModel|undefined} the chosen model, if it has to be downloaded first */
    get missing() {
        return this.form.text("mask.method") === "subject"
            ? this.models.find(({name, here}) => name === this.form.text("mask.model") && !here) : undefined;
    }

    async count() {
        const {numbers} = this;
        const facts = await this.set.ask("mask/facts", {numbers}, {quiet: true}).catch((failure) => ({failure}));
        const unknown = "failure" in facts;
        this.facts = unknown ? {images: 0, masks: 0, automatic: 0} : facts;
        fill(this.uncounted, unknown ? unread("The number of masks", facts.failure, () => this.count()) : null);
        this.words.hidden = unknown;
        this.refresh();
    }

    refresh() {
        const method = this.form.text("mask.method");
        for (const [key, element] of this.fields) element.hidden = METHOD_FIELDS[key] !== undefined && METHOD_FIELDS[key] !== method;
        const {selected, numbers} = this.set;
        this.whom.forEach((choice) => {
            const ofSelected = choice.dataset.who === "selected";
            setText(choice, ofSelected ? `${format.number(selected.size)} selected` : `all ${format.number(numbers.length)} shown`);
            choice.disabled = ofSelected && !selected.size;
            choice.setAttribute("aria-checked", String(ofSelected === this.selectedOnly));
        });
        const {made, kept, words} = madeCount(this.facts, this.form.text("write.mode"));
        setText(this.words, words);
        const {missing} = this;
        setText(this.about, missing ? `It is fetched from huggingface.co/${missing.repository} when you press Download, and never by ` +
            "itself." : "");
        const verb = missing ? "Download and make" : "Make";
        setLabel(this.start, this.words.hidden ? "Make masks" : made || !kept ? `${verb} ${format.plural(made, "mask")}` : "All have a mask");
        this.start.disabled = !made || this.run.open;
        setLabel(this.preview, missing ? "Download and preview" : "Preview");
        this.preview.disabled = this.run.open;
        this.remove.hidden = !this.facts.masks;
        this.remove.disabled = this.run.open;
        setLabel(this.remove, `Remove ${format.plural(this.facts.masks, "mask")}`);
        this.overlay.hidden = true;
        setText(this.share, "");
        if (method !== "subject") this.previewSoon();
    }

    /** A preview of one image: at once, or by a run if it needs a model. */
    async showPreview() {
        const method = this.form.text("mask.method");
        if (!this.dialog.open || !this.cell) return;
        if (method === "subject") {
            await this.go(this.cell.path);
            return;
        }
        const mine = this.asked += 1;
        const mask = this.form.job().mask || {};
        try {
            const found = await this.set.ask("mask/preview", {number: this.cell.number, mask}, {quiet: true});
            if (mine === this.asked) this.show(found);
        } catch (error) {
            if (mine === this.asked) setText(this.share, failureOf(error).message);
        }
    }

    /** @param {MaskPreview} found */
    show({overlay, share}) {
        this.overlay.src = overlay;
        this.overlay.hidden = false;
        setText(this.share, `${format.number(Math.round(100 * share))} % of the image would be trained.`);
    }

    /** Start a run. @param {string} preview the path of the only image, for a preview that writes nothing */
    async go(preview) {
        const job = this.form.job();
        const all = !this.selectedOnly && this.set.numbers.length === this.set.about?.pictures;
        this.start.disabled = true;
        fill(this.problems);
        this.form.showProblems([]);
        try {
            const images = preview ? [preview] : all ? [] : (await this.set.ask("paths", {numbers: this.numbers})).paths;
            job.dataset = {train_data_dir: this.set.folder, images};
            if (this.missing) job.mask = {...job.mask, download: true};
            if (preview) job.write = {mode: "preview"};
            const {id} = await api("masks/runs", {body: {job}, quiet: true});
            this.previewing = preview !== "";
            this.run.watch(id);
            if (!preview) this.form.makeSafe();
        } catch (error) {
            const {message, problems} = failureOf(error);
            const others = this.form.showProblems(problems.length ? problems : [message]);
            fill(this.problems, others.length ? findings(others.map((text) => ({level: "error", text}))) : null);
            this.refresh();
        }
    }

    /** Move the masks of the chosen images to the set's trash. */
    async removeMasks() {
        this.remove.disabled = true;
        await this.set.edit("mask/remove", {numbers: this.numbers});
        await this.count();
    }

    /** @param {boolean} ended */
    async runChanged(ended) {
        this.start.disabled = this.run.open;
        this.preview.disabled = this.run.open;
        this.remove.disabled = this.run.open;
        if (!ended) return;
        const {previewing} = this;
        this.previewing = false;
        try {
            this.models = (await api("masks", {quiet: true})).models;
            this.listModels();
            this.refresh();
            if (previewing) this.show(await api(`masks/runs/${encodeURIComponent(this.run.id)}/preview`, {quiet: true}));
        } catch (error) {
            if (previewing) setText(this.share, failureOf(error).message);
        }
        if (previewing) return;
        await this.set.refresh({tagged: true});
        await this.count();
    }
}
