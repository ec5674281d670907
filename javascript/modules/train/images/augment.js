/** Previews of flips, color changes and crops on the user's own images, beside each switch. */

import {api, failureOf, fill, h, later, on, setText} from "../../core/dom.js";
import {button, setLabel} from "../../core/parts.js";
import {dataset} from "./dataset.js";
import {field as settingField, fieldMakers} from "../fields.js";
import {form} from "../form.js";

const SHOWN = 6;
const TRIES = 3;  // previews are random, and sometimes none of them is changed
const FRESH = "These variations cannot be cached: each step encodes its own, which is slower.";
const KEPT = "Both versions are cached, so this costs nothing.";

/**
 * The request that shows one augmentation alone. `on` is the value for a setting that is off.
 * @type {Record<string, {on: boolean|string, off: boolean|string, note: string}>}
 */
const KINDS = {
    "dataset.flip_aug": {on: true, off: false, note: KEPT},
    "dataset.color_aug": {on: true, off: false, note: FRESH},
    "dataset.random_crop": {on: true, off: false, note: FRESH},
    "dataset.face_crop_aug_range": {on: "2.0,4.0", off: "", note: FRESH},
};
const others = Object.fromEntries(Object.entries(KINDS).map(([key, kind]) => [key.split(".")[1], kind.off]));

class Strip {
    /** @param {import("../../core/types").Setting} setting */
    constructor(setting) {
        this.setting = setting;
        this.kind = KINDS[setting.key];
        this.open = false;
        this.picture = 0;
        this.turn = 0;
        this.shown = "";
        this.button = button("Show on my images", {kind: "quiet", small: true, icon: "image", click: () => {
            this.open = !this.open;
            this.shown = "";
            this.refresh();
        }});
        this.next = button("Another image", {kind: "quiet", small: true, icon: "right", click: () => {
            this.picture += 1;
            this.refresh();
        }});
        this.versions = h("div", {class: "tl-versions", "aria-live": "polite"});
        this.note = h("p", {class: "tl-note"});
        this.body = h("div", {class: "tl-augment-body", hidden: true}, this.versions, this.note);
        this.element = h("div", {class: "tl-augment"}, h("div", {class: "tl-row"}, this.button, this.next), this.body);
        this.soon = later(() => this.refresh(), 400);
    }

    get pictures() {
        return dataset ? dataset.thumbnails : [];
    }

    refresh() {
        this.element.hidden = !this.pictures.length;
        this.body.hidden = !this.open || this.element.hidden;
        setLabel(this.button, this.open ? "Hide" : "Show on my images");
        this.next.hidden = !this.open || this.pictures.length < 2;
        if (!this.body.hidden) this.ask();
    }

    async ask() {
        if (!dataset) return;
        const picture = this.pictures[this.picture % this.pictures.length];
        const value = form.get(this.setting.key) || this.kind.on;
        const settings = {...form.job().dataset, ...others, [this.setting.name]: value};
        const body = {folder: dataset.folder, path: picture.path, settings};
        const key = JSON.stringify(body);
        if (key === this.shown) return;
        this.shown = key;
        this.turn += 1;
        const {turn} = this;
        try {
            /** @type {string[]} */
            let pictures = [];
            for (let seed = 0; seed < TRIES && new Set(pictures).size < 2; seed += 1) {
                ({pictures} = await api("augment/preview", {body: {...body, seed}, quiet: true}));
            }
            if (turn === this.turn) this.show(pictures, picture.path);
        } catch (error) {
            if (turn !== this.turn) return;
            fill(this.versions);
            const {message, problems} = failureOf(error);
            setText(this.note, [...new Set([message, ...problems])].map(form.inWords).join(" "));
        }
    }

    /** @param {string[]} pictures their URLs, the original first @param {string} path */
    show(pictures, path) {
        const different = pictures.filter((image, place) => pictures.indexOf(image) === place).slice(0, SHOWN);
        fill(this.versions, different.map((src, place) => h("figure", {}, h("img", {src, loading: "lazy",
            alt: place ? `Variation ${place} of ${path}` : path}), place ? null : h("figcaption", {}, "original"))));
        setText(this.note, different.length > 1 ? this.kind.note : this.nothing());
    }

    nothing() {
        return this.setting.name === "face_crop_aug_range" ? "No face was detected, so this image stays unchanged." :
            "Nothing changes in this image.";
    }
}

for (const key of Object.keys(KINDS)) {
    fieldMakers[key] = (setting) => {
        const field = settingField(setting);
        const strip = new Strip(setting);
        field.element.append(strip.element);
        field.element.classList.add("tl-augment-field");
        on("dataset", strip.soon);
        on("setting", ({keys}) => keys.some((changed) => changed.startsWith("dataset.")) && strip.soon());
        strip.refresh();
        return field;
    };
}
