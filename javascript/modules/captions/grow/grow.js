/** The view "Grow": a few images become a set, by drawing candidates with a quick LoRA of them and keeping the good ones. */

import {fill, h, setText} from "../../core/dom.js";
import {DrawingList, refreshDrawings} from "../../core/drawings.js";
import {format} from "../../core/format.js";
import {button, emptyState, setLabel, toast, unread} from "../../core/parts.js";
import {poll, showTab} from "../../core/shell.js";
import {form} from "../../train/form.js";
import {forgetSource} from "../exchange/sources.js";
import {growthWords, targetsOf} from "./words.js";
import {canTake, hand} from "../image/send.js";

/** @typedef {import("../answers").Growth} Growth */
/** @typedef {import("../answers").CandidateFacts} CandidateFacts */

const EPOCHS = 10;
const STEPS = [["Train a quick LoRA", "A few minutes, on the images you have."],
    ["Generate candidates", "The LoRA shows the subject in other poses and places."],
    ["Keep the good ones", "Fix what is nearly right in Inpaint. Then train again."]];

export class GrowPanel {
    /** @param {import("../set.js").CaptionSet} set */
    constructor(set) {
        this.set = set;
        /** @type {Growth|null} */
        this.growth = null;
        /** @type {Map<string, string>} thumbnails by name */
        this.images = new Map();
        /** @type {Set<string>} the chosen candidates */
        this.chosen = new Set();
        this.words = h("p", {id: "tl_grow_words", "aria-live": "polite"}, "");
        this.problem = h("div", {});
        this.targets = h("ol", {class: "tl-growtargets", "aria-label": "Numbers of images to aim for"});
        this.train = button("Fill in quick settings", {kind: "primary", id: "tl_grow_train", click: () => this.fillForm()});
        this.prompts = h("textarea", {class: "tl-input tl-textarea", id: "tl_grow_prompts", rows: "8", spellcheck: "false"});
        this.lora = h("select", {class: "tl-input tl-select", id: "tl_grow_lora"});
        this.strength = number("tl_grow_strength", "0.8", {min: "0", max: "2", step: "0.05"});
        this.cfg = number("tl_grow_cfg", "6", {min: "1", max: "30", step: "0.5"});
        this.seed = number("tl_grow_seed", String(1 + Math.floor(Math.random() * 1e6)), {min: "0", max: "4294967295", step: "1"});
        this.draw = button("Generate", {kind: "primary", id: "tl_grow_draw", click: () => this.begin()});
        this.stop = button("Stop", {hidden: true, id: "tl_grow_stop", click: () => this.ask("grow/stop", {})});
        this.state = h("p", {class: "tl-field-problem", "aria-live": "polite"}, "");
        this.drawings = new DrawingList();
        this.weight = number("tl_grow_weight", "0.5", {min: "0.01", max: "100", step: "any"});
        this.add = button("Add", {kind: "primary", id: "tl_grow_add", click: () => this.keep()});
        this.inpaint = button("Inpaint", {id: "tl_grow_inpaint", click: () => this.send()});
        this.drop = button("Discard", {kind: "quiet", id: "tl_grow_drop", click: () => this.discard()});
        this.grid = h("ul", {class: "tl-candidates", "aria-label": "Candidates"});
        this.none = emptyState("No candidates yet", "What the webui generates appears here. Click the good ones.");
        this.element = h("section", {class: "tl-advice tl-grow", "aria-label": "Grow"}, h("div", {class: "tl-advice-head"},
            h("div", {}, h("h3", {class: "tl-card-title"}, "From a handful of images"), this.words)), this.problem, this.targets,
        this.step(0, this.train), this.step(1, this.drawForm()), this.step(2, this.choice()));
        this.poller = poll(() => this.fetch(), () => (this.growth?.drawing.state === "drawing" && !this.element.hidden ? 1 : 0), 20);
        set.when("opened", ({same}) => {
            if (same) return;
            this.images.clear();
            this.chosen.clear();
            this.growth = null;
            if (!this.element.hidden) this.load();
        });
    }

    /** @param {number} place @param {HTMLElement} content */
    step(place, content) {
        return h("section", {class: "tl-growstep"}, h("h4", {}, h("span", {class: "tl-growmark", "aria-hidden": "true"}, String(place + 1)),
            STEPS[place][0]), h("p", {class: "tl-note"}, STEPS[place][1]), content);
    }

    drawForm() {
        const field = (/** @type {string} */ label, /** @type {HTMLElement} */ input) => h("div", {class: "tl-field"},
            h("label", {class: "tl-label", for: input.id}, label), input);
        return h("div", {class: "tl-growdraw"}, field("Prompts, one line for each image", this.prompts),
            h("div", {class: "tl-row"}, field("LoRA", this.lora), field("Strength", this.strength), field("CFG scale", this.cfg),
                field("Seed", this.seed), this.draw, this.stop),
            h("p", {class: "tl-note"}, "A low CFG scale keeps contrast and colors natural: they are learned too."), this.state, this.drawings.element);
    }

    choice() {
        return h("div", {}, h("div", {class: "tl-row"}, this.add, h("label", {class: "tl-label", for: this.weight.id}, "with loss weight"),
            this.weight, this.inpaint, this.drop), h("p", {class: "tl-note"},
            "Generated images are marked as made, and a weight below 1 keeps the real ones in front. The prompt becomes the caption."),
        this.none, this.grid);
    }

    /** @param {keyof import("../routes").CaptionRoutes} route @param {object} body */
    async ask(route, body) {
        const answer = await this.set.ask(route, body).catch(() => null);
        if (answer) this.load();
        return answer;
    }

    load() {
        this.poller.wake();
    }

    async fetch() {
        if (!this.set.isOpen) return;
        const answer = await this.set.ask("grow", {activation_tag: this.set.activationTag, known: [...this.images.keys()]}, {quiet: true}).catch((failure) => ({failure}));
        if ("failure" in answer) this.fail(answer.failure);
        else this.show(answer);
    }

    /** @param {unknown} error */
    fail(error) {
        if (!this.growth) this.none.hidden = true;  // whether there are candidates is not known
        fill(this.problem, unread("The state of the set", error, () => this.load()));
    }

    /** @param {Growth} growth */
    show(growth) {
        fill(this.problem);
        const before = this.growth;
        this.growth = growth;
        for (const {name, image} of growth.candidates) if (image) this.images.set(name, image);
        const names = new Set(growth.candidates.map(({name}) => name));
        for (const name of this.chosen) if (!names.has(name)) this.chosen.delete(name);
        setText(this.words, growthWords(growth));
        fill(this.targets, targetsOf(growth).map(({count, state}) => h("li", {data: {state}}, String(count))));
        if (!before || !this.prompts.value.trim()) this.prompts.value = growth.prompts.join("\n");
        if (!before || before.loras.join() !== growth.loras.join()) this.fillLoras(growth.loras);
        const {state, error} = growth.drawing;
        const drawing = state === "drawing";
        this.draw.disabled = drawing;
        this.stop.hidden = !drawing;
        setText(this.state, error);
        fill(this.grid, growth.candidates.map((candidate) => this.tile(candidate)));
        this.none.hidden = growth.candidates.length > 0;
        this.refresh();
    }

    /** @param {string[]} loras */
    fillLoras(loras) {
        const {value} = this.lora;
        fill(this.lora, loras.map((name) => h("option", {value: name}, name)), h("option", {value: ""}, "none"));
        this.lora.value = loras.includes(value) ? value : loras[0] || "";
    }

    /** @param {CandidateFacts} candidate */
    tile({name, prompt}) {
        const chosen = this.chosen.has(name);
        return h("li", {}, h("button", {type: "button", class: "tl-candidate", title: prompt, "aria-pressed": String(chosen), on: {click: () => {
            if (!this.chosen.delete(name)) this.chosen.add(name);
            if (this.growth) this.show(this.growth);
        }}}, h("img", {src: this.images.get(name) || "", alt: prompt})));
    }

    refresh() {
        const count = this.chosen.size;
        setLabel(this.add, count ? `Add ${format.plural(count, "image")}` : "Add");
        setLabel(this.drop, count ? `Discard ${format.number(count)}` : "Discard");
        this.add.disabled = this.drop.disabled = !count;
        this.inpaint.disabled = count !== 1;
    }

    fillForm() {
        const {growth} = this;
        if (!growth) return;
        const name = `${this.set.folder.split(/[\\/]/).filter(Boolean).pop() || "set"}-quick-${growth.images}`;
        form.set("dataset.train_data_dir", this.set.folder);
        form.set("dataset.dataset_repeats", growth.repeats);
        form.set("training.max_train_epochs", EPOCHS);
        form.set("training.max_train_steps", null);
        form.set("save.output_name", name);
        toast("good", `${EPOCHS} epochs with ${format.plural(growth.repeats, "repeat")}, about ${format.number(growth.images * growth.repeats * EPOCHS)} ` +
            `images seen, saved as ${name}. Press Train, then come back.`);
        showTab("train");
    }

    async begin() {
        const prompts = this.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
        if (![this.strength, this.cfg, this.seed].every((input) => input.reportValidity())) return;
        const answer = await this.ask("grow/draw", {prompts, lora: this.lora.value, strength: Number(this.strength.value),
            cfg_scale: Number(this.cfg.value), seed: Number(this.seed.value), resolution: form.text("dataset.resolution")});
        if (!answer) return;
        this.seed.value = String(Number(this.seed.value) + prompts.length);
        refreshDrawings();
    }

    async keep() {
        if (!this.weight.reportValidity()) return;
        const names = [...this.chosen];
        this.chosen.clear();
        await this.set.edit("grow/add", {names, weight: Number(this.weight.value)});
        this.load();
    }

    discard() {
        const names = [...this.chosen];
        this.chosen.clear();
        return this.ask("grow/discard", {names});
    }

    async send() {
        if (!canTake("inpaint")) return;
        const answer = await this.set.ask("grow/send", {names: [...this.chosen]}).catch(() => null);
        if (!answer) return;
        forgetSource("img2img");
        hand(answer, "inpaint");
    }
}

/** @param {string} id @param {string} value @param {{min: string, max: string, step: string}} range */
function number(id, value, range) {
    return h("input", {type: "number", class: "tl-input tl-tiny-input", id, value, ...range});
}
