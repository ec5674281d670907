/** The ranked list of suspicious images and tags, with the ways out as buttons. */

import {fill, h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, fold, icon} from "../../core/parts.js";
import {curves, thumbnail} from "./charts.js";
import {WAYS, againstTypical, byRank, doneWords, highest, imagesOf, waysLeft} from "./order.js";
import {Pager} from "./pager.js";

const ROWS_A_PAGE = 10;
const MOST_OF_A_GROUP = 9;
const DOUBTFUL_TAGS = 10;

/** @typedef {import("../records").Diagnosis} Diagnosis */
/** @typedef {import("../records").DiagnosedTag} DiagnosedTag */
/** @typedef {import("../records").SuspiciousImage} ImageFinding */
/**
 * @typedef {object} Ways what the buttons do
 * @property {(way: string, finding: ImageFinding, opener: HTMLElement) => void} take
 * @property {(finding: ImageFinding) => (() => void)|null} undo null if nothing was done on this page
 * @property {(images: number[]) => void} show opens images in the caption editor
 */

export class FindingsList {
    /** @param {Ways} ways */
    constructor(ways) {
        this.ways = ways;
        /** @type {Diagnosis|null} */
        this.diagnosis = null;
        this.high = 1;
        /** @type {Pager<ImageFinding>} */
        this.pager = new Pager({size: ROWS_A_PAGE, name: "finding", cls: "tl-suspects", draw: (finding) => this.row(finding)});
        /** @type {Pager<ImageFinding>} */
        this.next = new Pager({size: ROWS_A_PAGE, name: "image", cls: "tl-suspects", draw: (finding) => this.row(finding)});
        this.none = h("p", {class: "tl-nothing-found"}, icon("check"), h("span", {}, "No image and no tag stands out from what is usual in this set."));
        this.tags = h("ul", {class: "tl-suspect-tags"});
        this.rest = fold("The next in the ranking, which do not stand out", this.next.element);
        this.doubtful = h("ul", {class: "tl-suspect-tags"});
        this.restOfTags = fold("The most doubtful tags, which do not stand out", h("p", {class: "tl-note"}, DOUBTFUL), this.doubtful);
        this.element = h("div", {class: "tl-findings-part"}, this.none, this.pager.element, this.tags, this.rest, this.restOfTags);
    }

    /** @param {Diagnosis} diagnosis */
    show(diagnosis) {
        this.diagnosis = diagnosis;
        const {findings, tags, found_step: step} = diagnosis;
        const suspects = tags.filter(({alarm}) => alarm);
        const alarms = byRank(findings).filter(({alarm}) => alarm);
        const others = byRank(findings).filter(({alarm}) => !alarm);
        const about = findings.map(({image}) => diagnosis.images[image]).filter(Boolean);
        this.high = highest([...about.map(({curve}) => curve), diagnosis.typical]);
        this.none.hidden = step === null || alarms.length > 0 || suspects.length > 0;
        this.pager.element.hidden = !alarms.length;
        this.pager.show(alarms);
        this.rest.hidden = !others.length;
        this.next.show(others);
        this.tags.hidden = !suspects.length;
        fill(this.tags, suspects.map((tag) => this.tagRow(tag)));
        const doubtful = tags.filter(({alarm, suspicion}) => !alarm && suspicion > 0).slice(0, DOUBTFUL_TAGS);
        this.restOfTags.hidden = !doubtful.length;
        fill(this.doubtful, doubtful.map((tag) => this.tagRow(tag)));
    }

    /** @param {ImageFinding} finding */
    row(finding) {
        const {folder, images, steps, typical} = /** @type {Diagnosis} */ (this.diagnosis);
        const image = images[finding.image] || {name: `Image ${finding.image + 1}`, path: "", curve: []};
        const done = doneWords(finding.now);
        const undo = this.ways.undo(finding);
        const look = (/** @type {MouseEvent & {currentTarget: HTMLElement}} */ event) => this.ways.take("look", finding, event.currentTarget);
        return h("article", {class: `tl-suspect-row${done ? " tl-settled" : ""}`, data: {image: String(finding.image)}},
            h("button", {type: "button", class: "tl-suspect-image", "aria-label": `Look at ${image.name}`, on: {click: look}}, thumbnail(folder, image)),
            h("div", {class: "tl-suspect-words"}, h("p", {class: "tl-suspect-name"}, h("span", {class: "tl-suspect-rank"}, `${finding.rank}`), image.path || image.name,
                done ? h("span", {class: "tl-pill tl-done"}, done) : null),
            h("p", {}, finding.reason), this.group(finding),
            h("div", {class: "tl-row"}, waysLeft(finding).map((way) => button(WAYS[way], {small: true, title: TITLES[way],
                click: (event) => this.ways.take(way, finding, /** @type {HTMLElement} */ (event.currentTarget))})),
            undo ? button("Undo", {small: true, kind: "quiet", icon: "reset", click: undo}) : null)),
            h("div", {class: "tl-suspect-chart"}, curves(steps, [{curve: typical, name: "tl-curve-typical"}, {curve: image.curve, name: "tl-curve-own"}],
                {high: this.high, label: `${image.name}: ${againstTypical(image.curve, typical)}`}),
            h("span", {class: "tl-note"}, againstTypical(image.curve, typical))));
    }

    /** @param {ImageFinding} finding @returns {HTMLElement|null} the images that it is a copy of or much like */
    group(finding) {
        const {folder, images} = /** @type {Diagnosis} */ (this.diagnosis);
        const others = imagesOf(finding).slice(1, MOST_OF_A_GROUP).map((index) => images[index]).filter(Boolean);
        return others.length ? h("div", {class: "tl-row tl-suspect-group"}, others.map((image) => h("button", {type: "button", class: "tl-suspect-image",
            title: image.path || image.name, "aria-label": `Look at ${image.name}`, data: {member: String(image.index)},
            on: {click: (event) => this.ways.take("look", {...finding, image: image.index}, event.currentTarget)}}, thumbnail(folder, image)))) : null;
    }

    /** @param {DiagnosedTag} tag */
    tagRow(tag) {
        return h("li", {class: "tl-suspect-tag", data: {tag: tag.tag}}, h("span", {class: "tl-diagnosis-tag"}, tag.tag), h("span", {}, tag.reason),
            tag.images.length ? button(`Show ${format.plural(tag.images.length, "image")}`, {small: true, kind: "quiet", title: "Open them in Captions",
                click: () => this.ways.show(tag.images)}) : null);
    }
}

const DOUBTFUL = "The most doubtful first. In tests, a wrong tag was usually among the first three, but rarely stood out. Right tags are in this list, too.";

/** @type {Record<string, string>} */
const TITLES = {look: "The image, its caption and its curve beside others", weight: "Halve its loss weight",
    retag: "Open it in Captions", leave_out: "0 repeats: not trained on, but it stays in the set"};
