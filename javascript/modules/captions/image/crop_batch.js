/** Crops of many images at once: a search with progress, a preview of what is found, and saving it as one undo step. */

import {dialog} from "../../core/dialog.js";
import {failureOf, fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, fold, setLabel, toast} from "../../core/parts.js";
import {datasetSettings} from "../../train/family.js";

/** @typedef {import("../answers").CropBatch} CropBatch */
/** @typedef {import("../records").BatchCrop} BatchCrop */
/** @typedef {import("../set.js").CaptionSet} CaptionSet */

/** @type {Record<string, string>} what is searched for, as in KINDS of lib_lora_train/ui/captions/image_batch.py */
export const BATCHES = {face: "all faces, as new images", portrait: "all heads and shoulders, as new images", borders: "bars and borders, trimmed in place"};

const POLL_MILLISECONDS = 400;

/**
 * @param {CaptionSet} set @param {string} kind of BATCHES @param {boolean} plain whether plain backgrounds are borders
 * @param {{numbers?: number[], filter?: string}} target the images @param {HTMLElement} opener gets the focus at the end
 */
export function cropMany(set, kind, plain, target, opener) {
    new CropBatchDialog(set, kind, plain, target, opener);
}

class CropBatchDialog {
    /** @param {CaptionSet} set @param {string} kind @param {boolean} plain @param {object} target @param {HTMLElement} opener */
    constructor(set, kind, plain, target, opener) {
        this.set = set;
        this.kind = kind;
        /** @type {CropBatch|null} */
        this.found = null;
        /** @type {Set<number>} the places of crops that are not wanted */
        this.without = new Set();
        /** @type {Set<string>} proposed tags that are not wanted, "+" or "-" before each */
        this.unwanted = new Set();
        this.working = false;
        this.bar = h("div", {class: "tl-bar-fill"});
        this.progress = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100"}, this.bar);
        this.sentence = h("p", {class: "tl-subtitle", "aria-live": "polite"}, "Searching …");
        this.tags = h("div", {class: "tl-batch-tags"});
        this.list = h("ul", {class: "tl-batch-crops"});
        this.left = h("div", {});
        this.small = h("div", {});
        this.stop = button("Stop", {icon: "stop", kind: "danger", click: () => this.ask("crop/batch", {stop: true})});
        this.go = button("Save", {kind: "primary", id: "tl_batch_save", hidden: true, click: () => this.save()});
        this.window = dialog(`Crop: ${BATCHES[kind]}`, [this.sentence, this.progress, this.tags, this.small, this.list, this.left],
            [this.stop, button("Close", {click: () => this.window.close()}), this.go]);
        this.window.id = "tl_crop_batch";
        this.window.classList.add("tl-batch-dialog");
        this.window.addEventListener("close", () => {
            if (this.working) this.ask("crop/batch", {stop: true});
            opener.focus({preventScroll: true});
        });
        this.start("crop/batch", {...target, kind, plain, begin: true, settings: datasetSettings()});
    }

    /** @param {"crop/batch"|"crop/batch/save"} route @param {object} body @returns {Promise<CropBatch|null>} null on failure, which is shown */
    async ask(route, body = {}) {
        try {
            return await this.set.ask(route, body, {quiet: true});
        } catch (caught) {
            this.working = false;
            setText(this.sentence, failureOf(caught).message);
            this.progress.hidden = this.stop.hidden = true;
            return null;
        }
    }

    /** @param {"crop/batch"|"crop/batch/save"} route @param {object} body */
    async start(route, body) {
        this.working = true;
        this.progress.hidden = this.stop.hidden = false;
        this.go.hidden = true;
        let report = await this.ask(route, body);
        while (report && this.working) {
            this.show(report);
            if (!this.working) return;
            await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
            report = await this.ask("crop/batch");
        }
    }

    /** @param {CropBatch} report */
    show(report) {
        const {state, done, total} = report;
        this.working = state === "searching" || state === "saving";
        this.progress.hidden = this.stop.hidden = !this.working;
        const percent = total ? Math.round(100 * done / total) : 0;
        this.bar.style.width = `${percent}%`;
        this.progress.setAttribute("aria-valuenow", String(percent));
        if (this.working) setText(this.sentence, `${state === "saving" ? "Saving" : "Searching"}: ${format.number(done)} of ${format.plural(total, "image")}`);
        else if (state === "found") this.showFound(report);
        else if (state === "saved") this.finish(report);
        else setText(this.sentence, report.problem || "Stopped. Nothing was changed.");
        if (report.left.length) {
            fill(this.left, fold(`${format.plural(report.left.length, "image")} left alone`, h("ul", {class: "tl-paths"}, report.left.map((line) => h("li", {}, line)))));
        }
    }

    /** @param {CropBatch} report */
    showFound(report) {
        this.found = report;
        const inPlace = this.kind === "borders";
        if (!report.found) {
            setText(this.sentence, inPlace ? "None of these images has such a border." : "No face was found. Drawn faces, profiles and small ones are often missed.");
            return;
        }
        const more = report.found - report.crops.length;
        setText(this.sentence, inPlace ? `${format.plural(report.found, "image")} would be trimmed. The originals go to the set's trash.`
            : `${format.plural(report.found, "new image")} would be made from ${format.plural(report.images, "image")}, as PNG files beside them.`);
        fill(this.list, report.crops.map((crop, place) => this.row(crop, place)), more > 0 ? h("li", {class: "tl-note"}, `and ${format.number(more)} more`) : null);
        const small = report.crops.filter((crop) => crop.warning).length;
        fill(this.small, small ? h("label", {class: "tl-tick"}, h("input", {type: "checkbox", on: {change: (event) => this.leaveSmall(event.currentTarget.checked)}}),
            `leave out ${format.plural(small, "crop")} smaller than the training size`) : null);
        fill(this.tags, report.remove.map(([tag, count]) => this.tag("-", tag, count)), report.add.map(([tag, count]) => this.tag("+", tag, count)));
        this.go.hidden = false;
        this.refresh();
    }

    /** @param {BatchCrop} crop @param {number} place */
    row(crop, place) {
        const [left, top, right, bottom] = crop.frame;
        const inner = `left: ${100 * left / crop.width}%; top: ${100 * top / crop.height}%; right: ${100 - 100 * right / crop.width}%; bottom: ${100 - 100 * bottom / crop.height}%`;
        const size = `${right - left} × ${bottom - top}`;
        return h("li", {class: crop.warning ? "tl-batch-small" : null}, h("label", {class: "tl-batch-crop", title: [crop.path, crop.warning].filter(Boolean).join("\n")},
            h("span", {class: "tl-cropped", style: `aspect-ratio: ${crop.width} / ${crop.height}`},
                h("img", {src: this.set.image(crop, 256), alt: "", loading: "lazy"}), h("span", {class: "tl-crop", style: inner})),
            h("span", {class: "tl-tick"}, h("input", {type: "checkbox", checked: true, data: {small: crop.warning ? "1" : ""}, "aria-label": `${crop.path}, ${size}`, on: {change: (event) => {
                if (event.currentTarget.checked) this.without.delete(place);
                else this.without.add(place);
                this.refresh();
            }}}), h("span", {class: "tl-note"}, size))));
    }

    /** @param {"+"|"-"} sign @param {string} tag @param {number} count of crops */
    tag(sign, tag, count) {
        return h("label", {class: "tl-tick"}, h("input", {type: "checkbox", checked: true, on: {change: (event) => {
            if (event.currentTarget.checked) this.unwanted.delete(sign + tag);
            else this.unwanted.add(sign + tag);
        }}}), h("span", {}, sign === "+" ? "add " : "remove ", h(sign === "+" ? "ins" : "del", {}, tag), h("span", {class: "tl-note"}, ` ${format.number(count)}`)));
    }

    /** @param {boolean} leave whether crops that are too small are not wanted */
    leaveSmall(leave) {
        for (const box of this.list.querySelectorAll("input")) {
            if (box.dataset.small && box.checked === leave) box.click();
        }
    }

    refresh() {
        const count = (this.found ? this.found.found : 0) - this.without.size;
        setLabel(this.go, this.kind === "borders" ? `Trim ${format.plural(count, "image")}` : `Make ${format.plural(count, "image")}`);
        this.go.disabled = !count;
    }

    save() {
        if (!this.found) return;
        const wanted = (/** @type {string} */ sign, /** @type {[string, number][]} */ tags) => tags.map(([tag]) => tag).filter((tag) => !this.unwanted.has(sign + tag));
        for (const element of [this.list, this.tags, this.small]) fill(element);
        this.start("crop/batch/save", {without: [...this.without], remove: wanted("-", this.found.remove), add: wanted("+", this.found.add)});
    }

    /** @param {CropBatch} report */
    finish(report) {
        this.set.refresh({tagged: true});
        toast("good", `${report.label}. One undo reverts all of it.`, {problems: report.left});
        this.window.close();
    }
}
