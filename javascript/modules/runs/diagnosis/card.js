/** The Diagnosis section of a run: findings, a small chart for each image and tag, and balance. */

import {api, failureOf, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {card, findings, toast, unread} from "../../core/parts.js";
import {currentTab} from "../../core/shell.js";
import {drawBalance} from "./balance.js";
import {form} from "../../train/form.js";
import {setWeight, showInCaptions} from "./dataset.js";
import {FindingsList} from "./findings_list.js";
import {look} from "./look.js";
import {ImageMultiples, TagMultiples} from "./multiples.js";
import {HALF, byRank, bySuspicion, imagesOf} from "./order.js";

const AGAIN_SECONDS = 10;

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("../records").Diagnosis} Diagnosis */
/** @typedef {import("../records").SuspiciousImage} ImageFinding */
/** @typedef {import("./dataset.js").Weight} Weight */

export class DiagnosisCard {
    constructor() {
        /** @type {RunModel|null} */
        this.run = null;
        /** @type {Diagnosis|null} */
        this.diagnosis = null;
        this.mark = this.asked = "";
        this.askedAt = 0;
        /** @type {Map<string, Weight>} what images had before they were changed on this page, by run and index */
        this.before = new Map();
        this.aside = h("span", {class: "tl-note"});
        this.line = h("p", {class: "tl-note"});
        this.problems = h("div", {});
        this.leftOut = h("p", {class: "tl-note"});
        this.list = new FindingsList({take: (way, finding, opener) => this.take(way, finding.image, opener),
            undo: (finding) => this.undoOf(finding), show: (images) => this.showImages(images)});
        this.images = new ImageMultiples((index, opener) => this.look(index, opener, bySuspicion(this.diagnosis?.images || []).map((image) => image.index)));
        this.tags = new TagMultiples((images) => this.showImages(images));
        this.balance = h("div", {class: "tl-balances"});
        this.switch = this.makeSwitch();
        this.explanation = h("p", {class: "tl-note"});
        this.measured = h("div", {class: "tl-diagnosis-body", hidden: true}, this.list.element,
            h("div", {class: "tl-diagnosis-bar"}, this.switch, this.explanation), this.images.element, this.tags.element, this.balance, this.leftOut);
        this.element = card("Diagnosis", {aside: this.aside}, this.line, this.problems, this.measured);
        this.choose("images");
        on("run-ended", (run) => run === this.run && this.ask());
    }

    makeSwitch() {
        return h("div", {class: "tl-segments", role: "group", "aria-label": "Small charts"}, [["images", "Each image"], ["tags", "Each tag"]].map(([name, text]) =>
            h("button", {type: "button", class: "tl-curve-switch", data: {part: name}, "aria-pressed": "false", on: {click: () => this.choose(name)}}, text)));
    }

    /** @param {string} part images or tags */
    choose(part) {
        for (const child of this.switch.children) child.setAttribute("aria-pressed", String(child instanceof HTMLElement && child.dataset.part === part));
        this.images.element.hidden = part !== "images";
        this.tags.element.hidden = part !== "tags";
        setText(this.explanation, part === "images" ?
            "The loss of each image on the same noise at every measurement, beside the median of all images. The most suspicious come first." :
            "How much higher the loss of its images is without the tag. A tag below the line makes its images worse, so it may be wrong there.");
    }

    /** @param {RunModel} run */
    show(run) {
        if (run !== this.run) {
            this.run = run;
            this.diagnosis = null;
            this.mark = this.asked = "";
            this.draw();
        }
        const key = `${run.summary.state}/${run.saved.length}/${run.epochs.length}`;
        const old = run.open && performance.now() - this.askedAt > 1000 * AGAIN_SECONDS;
        if (currentTab() !== "runs" || (key === this.asked && !old)) return;
        this.asked = key;
        this.ask();
    }

    async ask() {
        const {run} = this;
        if (!run) return;
        this.askedAt = performance.now();
        try {
            const answer = await api(`runs/${encodeURIComponent(run.id)}/diagnosis?seen=${this.mark}`, {quiet: true});
            if (run !== this.run) return;
            this.mark = answer.mark;
            if (answer.diagnosis) this.diagnosis = answer.diagnosis;
            else return;
        } catch (error) {
            if (run !== this.run) return;
            this.diagnosis = null;
            this.mark = "";
            this.draw();
            this.problems.replaceChildren(unread("The diagnosis", error, () => this.ask()));
            return;
        }
        this.draw();
    }

    draw() {
        const {diagnosis, run} = this;
        const measured = diagnosis !== null && diagnosis.state === "measured";
        this.measured.hidden = !measured;
        setText(this.line, diagnosis ? stateWords(diagnosis) : "");
        this.line.hidden = !this.line.textContent;
        this.problems.replaceChildren(...(diagnosis && diagnosis.problems.length ? [findings(diagnosis.problems.map((text) => ({level: "warning", text})))] : []));
        setText(this.aside, diagnosis && measured ? measuredWords(diagnosis) : "");
        if (!measured || !diagnosis || !run) return;
        this.list.show(diagnosis);
        this.images.show(diagnosis);
        this.tags.show(diagnosis);
        this.switch.hidden = !diagnosis.tags.length;
        if (!diagnosis.tags.length) this.choose("images");
        setText(this.leftOut, diagnosis.left_out.map(form.inWords).join(" "));
        this.leftOut.hidden = !diagnosis.left_out.length;
        drawBalance(this.balance, diagnosis.balance);
    }

    /** @param {number[]} indices */
    showImages(indices) {
        const {diagnosis} = this;
        if (!diagnosis) return;
        const paths = indices.map((index) => diagnosis.images[index]).filter((image) => image && image.path).map((image) => image.path);
        if (paths.length && diagnosis.folder) showInCaptions(diagnosis.folder, paths);
        else toast("info", "These images are not in a folder that can be opened.");
    }

    /** @param {number} index @param {HTMLElement} opener @param {number[]} order */
    look(index, opener, order) {
        const {run, diagnosis} = this;
        if (run && diagnosis) look(run.id, diagnosis, order, index, opener, (way, chosen) => this.take(way, chosen, opener));
    }

    /** @param {string} way @param {number} index @param {HTMLElement} opener */
    async take(way, index, opener) {
        const {run, diagnosis} = this;
        const image = diagnosis && diagnosis.images[index];
        if (!run || !diagnosis || !image) return;
        if (way === "look") this.look(index, opener, [...new Set(byRank(diagnosis.findings).flatMap(imagesOf))]);
        else if (way === "retag") this.showImages([index]);
        else await this.change(index, way === "weight" ? {weight: HALF} : {repeats: 0});
    }

    /** @param {number} index @param {Partial<Weight>} change */
    async change(index, change) {
        const {run, diagnosis} = this;
        if (!run || !diagnosis) return;
        try {
            const before = await setWeight(diagnosis.folder, diagnosis.images[index].path, change);
            const key = `${run.id}/${index}`;
            if (before && !this.before.has(key)) this.before.set(key, before);
        } catch (error) {
            toast("error", failureOf(error).message, {problems: failureOf(error).problems});
        }
        await this.ask();
    }

    /** @param {ImageFinding} finding @returns {(() => void)|null} gives the image the weight it had before this page changed it */
    undoOf({image, now}) {
        const key = this.run ? `${this.run.id}/${image}` : "";
        const before = this.before.get(key) || {weight: 1, repeats: 1};
        if (!now || now.gone || (now.weight === before.weight && now.repeats === before.repeats)) return null;
        return () => {
            this.before.delete(key);
            this.change(image, before).then(() => this.before.delete(key));
        };
    }
}

/** @param {Diagnosis} diagnosis @returns {string} */
function stateWords({state, found_step: step}) {
    if (state === "off") {
        return "Diagnosis was off in this run. With it on, each save also measures every image and tag, which shows what does not fit " +
            "into the set, in a few percent of the time. Switch on Diagnosis in the settings in Train.";
    }
    if (state === "none") return "There is nothing to show: this run ended before its first measurement, or an earlier version made it.";
    if (state === "waiting") return "The first measurement is made at the first save.";
    return step === null ? "Findings need more measurements; they appear here after the next saves." : "";
}

/** @param {Diagnosis} diagnosis */
function measuredWords({steps, seconds, found_step: step}) {
    return `${format.plural(steps.length, "measurement")}, ${format.duration(seconds)}${step === null ? "" : `, findings of step ${format.number(step)}`}`;
}
