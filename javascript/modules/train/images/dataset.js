/** The card "Images": a folder, and its content. */

import {api, emit, failureOf, fill, h, later, mayWorkLater, on, setText, svg} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {lightbox} from "../../core/lightbox.js";
import {button, card, emptyState, findings, fold, icon} from "../../core/parts.js";
import {pathBox} from "../../core/path_box.js";
import {conceptFocus, conceptTable} from "./concepts.js";
import {familyDefaults} from "../family.js";
import {form} from "../form.js";
import {sectionBody} from "../sections/sections.js";

const FOLDER = "dataset.train_data_dir";
const FEW = 12;

/** @typedef {import("../answers").DatasetOverview} DatasetOverview */
/** @typedef {import("../answers").BucketCount} BucketCount */
/** @typedef {ReturnType<typeof failureOf>} Failure */

/** @type {DatasetOverview|null} the last answer, null before the first */
export let dataset = null;

export class DatasetCard {
    constructor() {
        /** @type {AbortController|null} */
        this.asking = null;
        this.asked = "";  // the folder that the user asked for, until it is loaded
        this.showAll = false;
        this.input = h("input", {type: "text", class: "tl-input", id: "tl_dataset_folder", spellcheck: "false",
            autocomplete: "off", value: form.text(FOLDER), placeholder: "/home/me/pictures/penny",
            "aria-describedby": "tl_dataset_problem",
            on: {input: (event) => form.set(FOLDER, event.currentTarget.value.trim()), keydown: (event) => {
                if (event.key === "Enter" && !event.ctrlKey) this.load(true);
            }}});
        this.start = button("Load", {id: "tl_dataset_load", click: () => this.load(true)});
        this.problem = h("p", {class: "tl-field-problem", id: "tl_dataset_problem", "aria-live": "polite"});
        this.found = h("div", {class: "tl-found"});
        this.element = card("Images", {step: 1, id: "tl_dataset"},
            h("div", {class: "tl-row"}, h("label", {class: "tl-hidden-text", for: "tl_dataset_folder"},
                "Folder with your images"), pathBox(this.input, "images", {what: "the folder with your images",
                browsed: () => this.load(true)}), this.start), this.problem, this.found,
            sectionBody("Dataset"));
        this.loadSoon = later(() => this.load(false), 500);
        on("setting", ({keys}) => this.followForm(keys));
        on("reload", () => this.load(false));
        this.show(null);
    }

    /** @param {string[]} keys of the settings that have changed */
    followForm(keys) {
        if (keys.includes(FOLDER)) {
            if (this.input.value.trim() !== form.get(FOLDER)) this.input.value = form.text(FOLDER);
            if (keys.length > 1) this.loadSoon();
        } else if (dataset && keys.some(changesWhatIsFound)) this.loadSoon();
    }

    /** @param {boolean} byUser whether the user asked, rather than a changed setting */
    async load(byUser) {
        const folder = this.input.value.trim();
        setText(this.problem, "");
        if (this.asking) this.asking.abort();
        if (!folder) {
            this.finish();
            if (byUser) setText(this.problem, "Type or paste the path of the folder that holds your images.");
            this.take(null);
            return;
        }
        const asked = byUser || this.asked === folder;  // a changed setting only starts again what the user asked for
        this.asked = asked ? folder : "";
        this.asking = new AbortController();
        this.found.classList.add("tl-dim");
        this.start.disabled = asked;
        try {
            const body = {folder, settings: {...familyDefaults("dataset"), ...form.job().dataset, train_data_dir: folder}};
            this.take(await api("dataset/overview", {body, quiet: true, signal: this.asking.signal}));
        } catch (error) {
            const failure = failureOf(error);
            if (failure.name === "AbortError") return;
            this.fail(failure, asked);
        }
        this.finish();
    }

    /** @param {Failure} failure @param {boolean} asked */
    fail(failure, asked) {
        const {message, problems} = failure;
        if (!asked && problems.some(aboutOther)) return;
        setText(this.problem, [...new Set([message, ...problems])].map(form.inWords).join(" "));
        this.take(null);
        if (mayWorkLater(failure)) emit("dataset-failed", failure);
    }

    /** Nothing is being loaded. */
    finish() {
        this.asked = "";
        this.found.classList.remove("tl-dim");
        this.start.disabled = false;
    }

    /** @param {DatasetOverview|null} answer */
    take(answer) {
        dataset = answer;
        this.show(answer);
        emit("dataset", answer);
    }

    /** @param {DatasetOverview|null} answer */
    show(answer) {
        if (!answer) {
            fill(this.found, this.input.value.trim() ? null : emptyFolder());
            return;
        }
        const held = conceptFocus(this.found);
        const turn = () => {
            this.showAll = !this.showAll;
            this.show(answer);
        };
        fill(this.found, summary(answer), thumbnails(answer, this.showAll, turn), findings(answer.problems),
            leftOut(answer.left_out), shapes(answer.buckets), conceptTable(answer.concepts));
        held();
    }
}

/** @param {string} key */
const changesWhatIsFound = (key) => key.startsWith("dataset.") && key !== "dataset.activation_tag";

/** Invalid settings are reported at their own field. @param {string} text */
const aboutOther = (text) => ![null, FOLDER].includes(form.keyOf(text));

function emptyFolder() {
    return emptyState("Where are your images?", "Choose the folder they are in. 15 to 100 good images " +
        "are plenty for a character. Captions are .txt files named like their images.");
}

/** @param {DatasetOverview} answer */
function summary(answer) {
    const {pictures, captions} = answer;
    const shapes = answer.buckets.length;
    const stats = [
        stat(format.number(pictures), pictures === 1 ? "image" : "images"),
        stat(captions === pictures && pictures ? "all" : format.number(captions),
            captions === 1 && pictures !== 1 ? "has a caption" : "have captions"),
        stat(format.number(shapes), shapes === 1 ? "shape" : "shapes"),
    ];
    if (answer.left_out.length) stats.push(stat(format.number(answer.left_out.length), "left out"));
    return h("div", {class: "tl-stats", role: "status"}, stats);
}

/** @param {string} value @param {string} label */
function stat(value, label) {
    return h("div", {class: "tl-stat"}, h("span", {class: "tl-stat-value"}, value),
        h("span", {class: "tl-stat-label"}, label));
}

/** @param {DatasetOverview} answer @param {boolean} showAll @param {() => void} toggle */
function thumbnails(answer, showAll, toggle) {
    const all = answer.thumbnails;
    if (!all.length) return null;
    const items = all.map((thumbnail) => ({src: thumbnail.url, title: format.fileName(thumbnail.path),
        text: thumbnail.caption || "no caption"}));
    const grid = h("div", {class: "tl-thumbs"}, (showAll ? all : all.slice(0, FEW)).map((thumbnail, index) =>
        h("button", {type: "button", class: "tl-thumb", title: thumbnail.caption || thumbnail.path,
            "aria-label": `Enlarge ${format.fileName(thumbnail.path)}`,
            on: {click: (event) => lightbox(items.map((item) => ({...item, src: bigger(item.src)})), index,
                {opener: event.currentTarget})}},
        h("img", {src: thumbnail.url, alt: thumbnail.caption || "", loading: "lazy", decoding: "async",
            on: {error: (event) => event.currentTarget.replaceWith(icon("warning"))}}))));
    const more = all.length > FEW ? button(showAll ? "Show fewer" : `Show ${all.length < answer.pictures ?
        `the first ${all.length}` : `all ${all.length}`}`, {kind: "quiet", small: true, click: toggle}) : null;
    return h("div", {}, grid, more);
}

/** @param {string} src */
const bigger = (src) => src.replace(/([?&]size=)\d+/, "$11024");

/** @param {BucketCount[]} buckets */
function shapes(buckets) {
    if (!buckets.length) return null;
    const most = Math.max(...buckets.map((bucket) => bucket.count));
    const longest = Math.max(...buckets.flatMap((bucket) => [bucket.width, bucket.height]));
    return h("figure", {class: "tl-shapes"},
        h("figcaption", {class: "tl-subtitle"}, "Shapes used in training"),
        h("div", {class: "tl-shape-columns"}, buckets.map((bucket) => shape(bucket, most, longest))));
}

/** @param {BucketCount} bucket @param {number} most images in a bucket @param {number} longest side of all */
function shape({width, height, count}, most, longest) {
    const side = 36 / longest;
    const bar = Math.max(3, 48 * count / most);
    return h("div", {class: "tl-shape", title: `${format.plural(count, "image")} of ${width} × ${height}`},
        h("span", {class: "tl-shape-count"}, format.number(count)),
        svg("svg", {viewBox: "0 0 48 92", width: 48, height: 92, "aria-hidden": "true"},
            svg("rect", {class: "tl-shape-bar", x: 14, y: 48 - bar, width: 20, height: bar, rx: 2}),
            svg("rect", {class: "tl-shape-outline", x: 24 - width * side / 2, y: 73 - height * side / 2,
                width: width * side, height: height * side, rx: 2})),
        h("span", {class: "tl-shape-size"}, `${width}×${height}`));
}

/** @param {DatasetOverview["left_out"]} files */
function leftOut(files) {
    if (!files.length) return null;
    return fold(`${format.plural(files.length, "file")} left out`,
        h("ul", {class: "tl-paths"}, files.map((file) => h("li", {}, h("b", {}, file.path), " ", file.reason))));
}
