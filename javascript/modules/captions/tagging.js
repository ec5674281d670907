/** The card "Tag with a tagger" of the Captions tab: choice of tagger, tag rules, write mode, and the run. */

import {api, emit, failureOf, fill, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card as makeCard, findings, fold, icon, setLabel, unread} from "../core/parts.js";
import {pathBox} from "../core/path_box.js";
import {form as formState} from "../train/form.js";
import {TagForm, tagField} from "./tag_form.js";
import {TagRun} from "./tag_run.js";
import {Describing} from "./tagging/describing.js";
import {showSample} from "./tagging/sample.js";

const OTHER = "\u0000other";
const MODES = {"if-empty": "Only where there is no caption", "append": "Add new tags at the end",
    "prepend": "Add new tags at the beginning", "overwrite": "Replace existing captions",
    "confidences-only": "Write no captions, only keep the confidences"};
const PROVIDERS = {auto: "fastest available", cuda: "NVIDIA GPU (CUDA)", rocm: "AMD GPU (ROCm)",
    directml: "Windows GPU (DirectML)", cpu: "CPU"};
const THRESHOLDS = ["tags.general_threshold", "tags.character_threshold", "tags.copyright_threshold",
    "tags.artist_threshold", "tags.meta_threshold"];
const MORE = [...THRESHOLDS.slice(2), "tags.drop_implied", "tags.general_mcut", "tags.character_mcut",
    "tags.replace_underscore", "tags.escape_brackets", "tags.max_tags", "tagger.provider", "tagger.batch_size",
    "tagger.decoding_threads"];
const CAPTIONERS = {"none": "no, only tags", "florence-2-base": "Florence-2 (beside the tagger)",
    "interrogator": "the webui's interrogator (BLIP)"};
const PLACES = {before: "before the tags", after: "after the tags", instead: "instead of tags"};
const CATEGORIES = {general: "general", species: "species", character: "characters", copyright: "series", artist: "artists",
    meta: "meta", rating: "rating", quality: "quality", model: "model", year: "year"};

/**
 * @param {() => string} folder returns the dataset's folder in the Captions tab
 * @returns {HTMLElement} the card, filled when the server responds
 */
export function taggingPanel(folder) {
    const body = h("div", {}, h("p", {class: "tl-note"}, "Loading …"));
    const card = makeCard("Tag with a tagger", {id: "tl_tagging"}, body);
    const load = () => api("tagging", {quiet: true}).then((answer) => fill(body, new Panel(folder, answer).element),
        (error) => fill(body, unread("The list of taggers", error, load)));
    load();
    return card;
}

class Panel {
    /** @param {() => string} folder @param {import("./answers").TaggingFacts} answer */
    constructor(folder, answer) {
        this.folder = folder;
        this.starting = false;
        /** The editor's selection, and whether to tag only these images. */
        this.selected = {count: 0, paths: async () => /** @type {string[]} */ ([])};
        this.onlySelected = false;
        this.whom = ["all images", "selected"].map((words, place) => h("button", {type: "button", role: "radio",
            "aria-checked": String(!place), data: {whom: place ? "selected" : "all"}, on: {click: () => {
                this.onlySelected = place === 1;
                this.refresh();
            }}}, words));
        this.taggers = answer.taggers;
        this.form = new TagForm(answer.groups.flatMap((group) => group.settings));
        this.captioners = answer.captioners;
        this.run = new TagRun((ended) => this.runChanged(ended));
        this.describing = new Describing((run) => {
            if (run) this.run.watch(run);
            this.refresh();
        });
        this.sample = h("div", {class: "tl-group", hidden: true, id: "tl_tag_sample"});
        this.run.sampled = (event) => showSample(this.sample, event);
        this.tryOne = button("Try on one image", {click: () => this.go(true), id: "tl_tag_try"});
        this.prose = h("p", {class: "tl-note"});
        this.start = button("Tag the images", {kind: "primary", icon: "play", id: "tl_tag",
            click: () => this.go()});
        this.problems = h("div", {});
        this.mind = h("p", {class: "tl-hint", "aria-live": "polite"});
        this.about = h("p", {class: "tl-note"});
        this.balance = button("", {kind: "quiet", small: true, click: () => this.takeBalance()});
        /** @type {HTMLElement} where the sentence stands in the caption */
        this.place = h("div", {});
        /** @type {HTMLElement} its length */
        this.detail = h("div", {});
        /** @type {HTMLElement} where the kinds of tags are chosen */
        this.categories = h("div", {});
        this.choice = h("select", {class: "tl-input tl-select",
            on: {change: (event) => this.choose(event.currentTarget.value)}});
        this.path = h("input", {type: "text", class: "tl-input", spellcheck: "false", "aria-label": "ONNX file",
            placeholder: "/path/of/model.onnx with its list of tags beside it",
            on: {input: (event) => this.form.set("tagger.model", event.currentTarget.value.trim())}});
        this.pathRow = pathBox(this.path, "tagger");
        this.element = h("div", {class: "tl-fold-body", style: "padding: 0"}, this.build(answer.taggers_dir), this.problems,
            h("div", {class: "tl-row"}, h("div", {class: "tl-verbs", role: "radiogroup", "aria-label": "Which images to tag"}, this.whom), this.start, this.tryOne,
                h("span", {class: "tl-note"}, "One undo reverts the whole run.")),
            this.describing.element, this.run.element, this.sample);
        this.form.changedBy = () => this.refresh();
        this.refresh();
        if (answer.run) this.run.watch(answer.run.id);
        on("setting", ({keys}) => {
            if (keys.includes("dataset.activation_tag")) this.suggestFirst();
        });
        on("captions-selected", ({count, only, paths}) => {
            this.selected = {count, paths};
            this.onlySelected = count > 0 && (only || this.onlySelected);
            this.refresh();
        });
        this.suggestFirst();
    }

    /** @param {string} folder of the taggers */
    build(folder) {
        const {form} = this;
        this.listTaggers();
        const model = tagField(form, "tagger.model", {wide: true, control: this.choice});
        const shown = form.fields.get("tagger.model");
        if (shown) shown.show = () => this.listTaggers();
        model.append(this.pathRow, this.about);
        /** @type {(key: string, options?: Parameters<typeof tagField>[2]) => HTMLElement} */
        const field = (key, options) => tagField(form, key, options);
        const general = field("tags.general_threshold");
        general.append(this.balance);
        const captioner = field("prose.captioner", {words: CAPTIONERS});
        this.place = field("prose.place", {words: PLACES});
        this.detail = field("prose.detail");
        this.categories = field("tags.categories", {wide: true, words: CATEGORIES});
        return [h("div", {class: "tl-fields"}, model, general, field("tags.character_threshold"),
            field("tags.always_first_tags"), this.categories, field("tags.exclude_tags", {wide: true}),
            captioner, this.place, this.detail, h("div", {class: "tl-wide"}, this.prose), field("write.mode", {wide: true, words: MODES})), this.mind,
        fold("More about tags", h("div", {class: "tl-fields"},
            MORE.map((key) => field(key, {words: PROVIDERS, empty: key === "tags.max_tags" ? "no limit" : "as above"}))),
        h("p", {class: "tl-note"}, `Taggers are kept in ${folder}, each in a folder of its own name.`))];
    }

    listTaggers() {
        const model = this.form.text("tagger.model");
        const known = this.taggers.some((tagger) => tagger.name === model);
        fill(this.choice, this.taggers.map((tagger) => h("option", {value: tagger.name},
            `${tagger.name} – ${tagger.about}${tagger.here ? "" : " (not downloaded yet)"}`)),
        h("option", {value: OTHER}, "Another ONNX file …"));
        this.choice.value = known ? model : OTHER;
        this.pathRow.hidden = known;
        if (!known) this.path.value = model;
    }

    /** @param {string} name of the tagger */
    choose(name) {
        const other = name === OTHER;
        this.pathRow.hidden = !other;
        this.form.set("tagger.model", other ? this.path.value.trim() : name);
        if (other) this.path.focus();
    }

    /** @returns {import("./answers").Tagger|undefined} undefined for a custom file */
    chosen() {
        return this.taggers.find((tagger) => tagger.name === this.form.get("tagger.model"));
    }

    suggestFirst() {
        const tag = formState.text("dataset.activation_tag");
        const first = this.form.get("tags.always_first_tags");
        if (tag && Array.isArray(first) && !first.length) this.form.put("tags.always_first_tags", [tag]);
    }

    takeBalance() {
        const tagger = this.chosen();
        if (tagger) this.form.put("tags.general_threshold", tagger.balanced_threshold);
    }

    refresh() {
        const tagger = this.chosen();
        const fetched = tagger && !tagger.here ? tagger : null;
        const threshold = tagger && tagger.balanced_threshold;
        const {count} = this.selected;
        const images = this.onlySelected ? format.plural(count, "image") : "the images";
        const captioner = this.captioners.find((one) => one.name === this.form.get("prose.captioner"));
        const onlyDescribes = captioner && this.form.text("prose.place") === "instead";
        const downloads = (fetched && !onlyDescribes) || (captioner && captioner.missing);
        this.tryOne.hidden = Boolean(downloads);
        const verb = onlyDescribes ? "describe" : "tag";
        setLabel(this.start, downloads ? `Download and ${verb}${this.onlySelected ? ` ${images}` : ""}`
            : `${onlyDescribes ? "Describe" : "Tag"} ${images}`);
        this.whom.forEach((choice, place) => {
            choice.setAttribute("aria-checked", String(Boolean(place) === this.onlySelected));
            choice.disabled = Boolean(place) && !count;
            if (place) setText(choice, `${format.number(count)} selected`);
        });
        this.showTagger(tagger, fetched);
        this.balance.hidden = !threshold || threshold === this.form.get("tags.general_threshold");
        if (threshold) setLabel(this.balance, `Use ${threshold}, the value from its model card`);
        this.start.disabled = this.tryOne.disabled = this.run.open || this.describing.open || this.starting;
        this.showCaptioner();
        this.showSafety(this.form.text("write.mode"));
    }

    /**
     * What the tagger knows, and its own thresholds as placeholders.
     * @param {import("./answers").Tagger|undefined} tagger @param {import("./answers").Tagger|null} fetched to download
     */
    showTagger(tagger, fetched) {
        const known = tagger ? tagger.categories : Object.keys(CATEGORIES);
        const names = Object.entries(CATEGORIES).filter(([key]) => known.includes(key)).map(([, words]) => words);
        setText(this.about, [tagger && known.length ? `Knows: ${names.join(", ")}.` : "",
            tagger && tagger.licence ? `License of the weights: ${tagger.licence}.` : "",
            fetched ? `It is fetched from huggingface.co/${fetched.repository} when you press “Download and tag”, and ` +
            "never by itself." : ""].filter(Boolean).join(" "));
        for (const box of this.categories.querySelectorAll("input")) {
            const label = box.closest("label");
            if (label) label.hidden = known.length > 0 && !known.includes(box.dataset.choice || "");
        }
        for (const key of THRESHOLDS) {
            const category = key.slice("tags.".length, -"_threshold".length);
            const input = this.element.querySelector(`[data-key="${key}"] input`);
            const own = tagger ? tagger.thresholds[category] : undefined;
            if (input instanceof HTMLInputElement) input.placeholder = own === undefined ? "automatic" : `${own} (its own)`;
        }
    }

    showCaptioner() {
        const name = this.form.text("prose.captioner");
        const captioner = this.captioners.find((one) => one.name === name);
        if (this.prose.parentElement) this.prose.parentElement.hidden = name === "none";
        this.place.hidden = name === "none";
        this.detail.hidden = name !== "florence-2-base";
        setText(this.prose, captioner ? captioner.refused || (captioner.missing
            ? `${captioner.missing} This happens when you start the run, and never by itself.` : captioner.about) : "");
    }

    /** @param {string} mode the write mode */
    showSafety(mode) {
        const changes = !["if-empty", "confidences-only"].includes(mode);
        const what = mode === "overwrite" ? "This run replaces existing captions, including your own edits."
            : "This run changes existing captions.";
        fill(this.mind, changes ? [icon("warning"), h("span", {},
            `${what} Afterwards this returns to the safe choice: only images without a caption.`)] : null);
        this.mind.hidden = !changes;
    }

    /** @param {boolean} [tries] whether to tag a single image, without writing anything */
    async go(tries = false) {
        const job = this.form.job();
        const tagger = this.chosen();
        job.dataset = {train_data_dir: this.folder() || ""};
        for (const name of ["caption_extension", "caption_separator"]) {
            const value = formState.get(`dataset.${name}`);
            if (value !== undefined) job.dataset[name] = value;
        }
        const {onlySelected, selected} = this;
        const onlyDescribes = this.form.get("prose.captioner") !== "none" && this.form.text("prose.place") === "instead";
        if (tagger && !tagger.here && !onlyDescribes) job.tagger = {...job.tagger, download: true};
        const captioner = this.captioners.find((one) => one.name === this.form.get("prose.captioner"));
        if (captioner && captioner.missing) job.prose = {...job.prose, download: true};
        this.starting = true;
        this.refresh();
        fill(this.problems);
        this.form.showProblems([]);
        try {
            if (onlySelected) job.dataset.images = await selected.paths();
            if (tries) await this.askForOne(job);
            const {id} = await api("tagging/runs", {body: {job}, quiet: true});
            showSample(this.sample, null);
            if (id) this.run.watch(id);
            else this.describing.watch();
            if (!tries) this.form.makeSafe();
        } catch (error) {
            const {message, problems} = failureOf(error);
            const others = this.form.showProblems(problems.length ? problems : [message]);
            fill(this.problems, others.length ? findings(others.map((text) => ({level: "error", text}))) : null);
        }
        this.starting = false;
        this.refresh();
    }

    /**
     * Limit a job to one image, the first selected or the first of the set, and to writing nothing.
     * @param {import("../train/answers").GroupedValues} job
     */
    async askForOne(job) {
        const paths = this.selected.count ? await this.selected.paths() : [];
        const dataset = /** @type {Record<string, import("../train/values").Value>} */ (job.dataset);
        dataset.images = [paths[0] || (await api("tagging/first", {body: {job}, quiet: true})).image];
        job.write = {...job.write, mode: "confidences-only"};
    }

    /** @param {boolean} ended */
    async runChanged(ended) {
        this.refresh();
        if (!ended) return;
        emit("captions-changed", {folder: this.folder(), run: this.run.id});
        try {
            const {taggers, captioners} = await api("tagging", {quiet: true});
            this.taggers = taggers;
            this.captioners = captioners;
            this.listTaggers();
            this.refresh();
        } catch {
            // keep the current list
        }
    }
}

on("mounted", () => {
    const slot = document.getElementById("tl-tagging-slot");
    if (slot && !slot.firstChild) slot.append(taggingPanel(() => formState.text("dataset.train_data_dir")));
});
