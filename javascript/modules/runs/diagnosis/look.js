/** One image of the diagnosis, enlarged: its caption, its curve beside others, its loss by noise level and by tag. */

import {dialog} from "../../core/dialog.js";
import {api, fill, h, setText} from "../../core/dom.js";
import {button, unread} from "../../core/parts.js";
import {curves, imageUrl, thumbnail} from "./charts.js";
import {WAYS, againstTypical, doneWords, highest, loss, percent, waysLeft} from "./order.js";

const MOST_OTHERS = 3;

/** @typedef {import("../records").Diagnosis} Diagnosis */
/** @typedef {import("../records").ImageDetail} ImageDetail */
/** @typedef {import("../records").SuspiciousImage} ImageFinding */
/** @typedef {import("./charts.js").Line} Line */

/**
 * @param {string} run @param {Diagnosis} diagnosis @param {number[]} order the images to go through
 * @param {number} start index of the first to show @param {HTMLElement} opener
 * @param {(way: string, index: number) => void} take what the buttons do
 */
export function look(run, diagnosis, order, start, opener, take) {
    let place = Math.max(0, order.indexOf(start));
    const body = h("div", {class: "tl-look-body"});
    const ways = h("div", {class: "tl-row"});
    const back = button("Previous", {kind: "quiet", icon: "left", click: () => go(-1)});
    const next = button("Next", {kind: "quiet", icon: "right", click: () => go(1)});
    const window = dialog("", [body], [h("div", {class: "tl-row tl-look-steps"}, back, next), ways]);
    window.classList.add("tl-look");
    window.addEventListener("close", () => opener.isConnected && opener.focus({preventScroll: true}));
    window.addEventListener("keydown", (event) => {
        const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (step) go(step);
    });

    /** @param {number} steps */
    function go(steps) {
        if (order[place + steps] === undefined) return;
        place += steps;
        show();
    }

    async function show() {
        const index = order[place];
        const image = diagnosis.images[index];
        const finding = diagnosis.findings.find((one) => one.image === index);
        back.disabled = place === 0;
        next.disabled = place === order.length - 1;
        const title = window.querySelector(".tl-card-title");
        if (title) setText(title, image.path || image.name);
        fill(ways, waysOf(finding, image.path).map((way) => button(WAYS[way], {click: () => {
            window.close();
            take(way, index);
        }})));
        drawBody(body, diagnosis, index, finding, null);
        const detail = await api(`runs/${encodeURIComponent(run)}/diagnosis/image?index=${index}`, {quiet: true}).catch((failure) => ({failure}));
        if (order[place] !== index) return;
        if ("failure" in detail) body.querySelector(".tl-look-loading")?.replaceWith(unread("The caption", detail.failure, show));
        else drawBody(body, diagnosis, index, finding, detail);
    }
    show();
    body.focus();
}

/** @param {ImageFinding|undefined} finding @param {string} path empty if the image is not in the dataset's folder */
function waysOf(finding, path) {
    if (finding) return waysLeft(finding).filter((way) => way !== "look");
    return path ? ["weight", "retag", "leave_out"] : [];
}

/**
 * @param {HTMLElement} body @param {Diagnosis} diagnosis @param {number} index @param {ImageFinding|undefined} finding
 * @param {ImageDetail|null} detail null until it is there
 */
function drawBody(body, diagnosis, index, finding, detail) {
    const {folder, images, steps, typical} = diagnosis;
    const image = images[index];
    const others = (finding ? finding.others : []).map((other) => images[other]).filter(Boolean).slice(0, MOST_OTHERS);
    const empty = detail ? detail.empty : [];
    /** @type {Line[]} */
    const lines = [{curve: typical, name: "tl-curve-typical"}, ...others.map(({curve}) => ({curve, name: "tl-curve-other"})),
        ...empty.length ? [{curve: empty, name: "tl-curve-empty"}] : [], {curve: image.curve, name: "tl-curve-own"}];
    const src = imageUrl(folder, image.path, 1024);
    const done = finding ? doneWords(finding.now) : "";
    fill(body, h("div", {class: "tl-look-image"}, src ? h("img", {src, alt: image.name, on: {error: (event) => {
        event.currentTarget.replaceWith(h("p", {class: "tl-note"}, `${image.path} is no longer at its place, or cannot be read.`));
    }}}) : h("p", {class: "tl-note"}, "This image is not in the run's dataset folder, so it cannot be shown.")),
    h("div", {class: "tl-look-side"}, done ? h("p", {}, h("span", {class: "tl-pill tl-done"}, done)) : null,
        finding ? h("p", {class: "tl-look-reason"}, finding.reason) : null,
        h("div", {}, curves(steps, lines, {high: highest(lines.map(({curve}) => curve)), label: againstTypical(image.curve, typical)}),
            h("p", {class: "tl-diagnosis-keys"}, key("own", "this image"), key("typical", "median"), others.length ? key("other", "beside it") : null,
                empty.length ? key("empty", "without its caption") : null),
            h("p", {class: "tl-note"}, `Steps ${steps[0] ?? 0} to ${steps[steps.length - 1] ?? 0}: ${againstTypical(image.curve, typical)}.`)),
        others.length ? h("div", {class: "tl-look-others"}, others.map((other) => h("figure", {}, thumbnail(folder, other), h("figcaption", {class: "tl-note"}, other.name)))) : null,
        detail ? details(detail) : h("p", {class: "tl-note tl-look-loading"}, "Loading the caption …")));
}

/** @param {ImageDetail} detail */
function details({caption, timesteps, losses, tags}) {
    return h("div", {class: "tl-look-details"}, h("h4", {class: "tl-diagnosis-subtitle"}, "Caption"), h("p", {class: "tl-look-caption"}, caption || "none"),
        losses.length && timesteps.length === losses.length ? [h("h4", {class: "tl-diagnosis-subtitle"}, "Loss by timestep"),
            h("p", {class: "tl-note"}, timesteps.map((timestep, place) => `${timestep}: ${losses[place] === null ? "–" : loss(/** @type {number} */ (losses[place]))}`).join("   "))] : null,
        tags.length ? [h("h4", {class: "tl-diagnosis-subtitle"}, "Each tag"), h("ul", {class: "tl-look-tags"}, [...tags]
            .sort((one, other) => (one.without - one.with_tag) - (other.without - other.with_tag)).map((tag) => h("li", {},
                h("span", {class: "tl-diagnosis-tag"}, tag.tag), h("span", {class: "tl-note"}, effectWords(tag)))))] : null);
}

/** @param {import("../records").TagEffect} tag */
function effectWords({with_tag: having, without}) {
    const change = without - having;
    const share = having > 0 ? ` by ${percent(Math.abs(change) / having)}` : "";
    return change < 0 ? `Loss lower without it${share}: doubtful here` : `Loss higher without it${share}`;
}

/** @param {string} name @param {string} text */
function key(name, text) {
    return h("span", {class: "tl-diagnosis-key"}, h("i", {class: `tl-key-${name}`}), text);
}
