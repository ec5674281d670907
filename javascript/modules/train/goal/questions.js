/** The five questions of a goal: subject, images, base, what matters, time. */

import {api, fill, h, on, setText, store, uniqueId} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {host} from "../../core/host.js";
import {button} from "../../core/parts.js";
import {dataset} from "../images/dataset.js";
import {family, familyQuery} from "../family.js";
import {form} from "../form.js";
import {openKnows} from "../knows/panel.js";
import {KINDS, KNOWN, MATTERS, QUALITIES, TIMES, asked, becomesOf, lettersOf} from "./words.js";

/** @typedef {import("../answers").DifficultyFacts} DifficultyFacts */
/** @typedef {import("../values").Value} Value */

/** @type {Record<string, Value>} */
const answers = {kind: "character", matters: [], ...store.get("goal", {})};

/** @param {string} name @param {Value} value */
function answer(name, value) {
    answers[name] = value;
    store.set("goal", answers);
}

/** @returns {Record<string, Value>} the answers to send */
export const goalAnswers = () => asked(answers);

/** @param {string} label @param {string} name @param {[string, string][]} options @param {() => void} [then] */
function select(label, name, options, then = () => {}) {
    const id = uniqueId("goal");
    const box = h("select", {id, class: "tl-input tl-select", value: "", on: {change: () => {
        answer(name, box.value);
        then();
    }}});
    const show = (/** @type {[string, string][]} */ list) => {
        fill(box, list.map(([value, text]) => h("option", {value}, text)));
        const now = String(answers[name] ?? "");
        box.value = list.some(([value]) => value === now) ? now : (list[0] || [""])[0];
    };
    show(options);
    return {element: h("div", {class: "tl-goal-field"}, h("label", {class: "tl-label", for: id}, label), box), show};
}

/** @param {string} text @param {boolean} checked @param {(checked: boolean) => void} change */
function tick(text, checked, change) {
    const box = h("input", {type: "checkbox", checked, on: {change: () => change(box.checked)}});
    return h("label", {class: "tl-check"}, box, h("span", {}, text));
}

/** @param {string} text @param {string} name */
const tickFor = (text, name) => tick(text, answers[name] === true, (checked) => answer(name, checked));

/** @returns {HTMLElement} */
function mattersField() {
    const chosen = () => (Array.isArray(answers.matters) ? answers.matters : []).filter((one) => typeof one === "string");
    const id = uniqueId("goal");
    return h("div", {class: "tl-goal-field tl-goal-wide"}, h("span", {class: "tl-label", id}, "What matters most?"),
        h("div", {class: "tl-chips", role: "group", "aria-labelledby": id}, MATTERS.map(([name, text]) =>
            tick(text, chosen().includes(name), (checked) =>
                answer("matters", [...chosen().filter((one) => one !== name), ...(checked ? [name] : [])])))));
}

/** @returns {HTMLElement} */
export function questions() {
    /** @type {DifficultyFacts[]} */
    let difficulties = [];
    const category = select("How hard is it to learn?", "category", []);
    const becomes = select("What should it become?", "made_into", []);
    const male = tickFor("Male", "male");
    const elaborate = tickFor("Many details", "elaborate");
    const known = select("Does the base model know it?", "known", KNOWN);
    const measure = button("Find out first", {kind: "quiet", small: true, icon: "bulb", id: "tl_goal_knows",
        title: "What does the base know? generates images of the trigger word and measures them. The plan uses its result.",
        click: openKnows});
    known.element.append(measure);
    const kind = select("What is it?", "kind", KINDS, show);
    const facts = h("p", {class: "tl-note tl-goal-wide"});

    function show() {
        const now = String(answers.kind);
        const letters = lettersOf(now);
        category.element.hidden = !letters;
        category.show([["", "Not sure"], ...difficulties.filter((one) => letters.includes(one.letter)).map((one) =>
            /** @type {[string, string]} */ ([one.letter, `${one.letter}: ${one.description}`]))]);
        becomes.element.hidden = !becomesOf(now).length;
        becomes.show(becomesOf(now));
        male.hidden = now !== "character";
        elaborate.hidden = now !== "concept" && now !== "outfit";
        known.element.hidden = now === "style";
    }

    function showFacts() {
        const images = dataset ? `${format.plural(dataset.pictures, "image")}, on` : "Load a folder with images first. The plan will be for";
        const base = family && family.name ? (family.base || family.name) : "the loaded checkpoint";
        const limit = form.get("training.fit_in_gb");
        const onCpu = host && host.device === "cpu";
        const memory = onCpu ? "" : limit ? `, at most ${limit} GB of VRAM` :
            ", within the memory of your GPU";
        setText(facts, `${images} ${base}${memory}.`);
    }

    async function ask() {
        showFacts();
        ({difficulties} = await api(`difficulties?images_per_epoch=0${familyQuery()}`));
        show();
    }

    for (const name of /** @type {const} */ (["dataset", "host"])) on(name, showFacts);
    on("setting", ({keys}) => keys.includes("training.fit_in_gb") && showFacts());
    on("family", () => ask().catch(show));
    show();
    ask().catch(show);
    return h("div", {class: "tl-goal-questions"}, kind.element, category.element, becomes.element,
        h("div", {class: "tl-chips tl-goal-wide"}, male, elaborate),
        known.element,
        select("How good are the images?", "quality", QUALITIES).element,
        select("How much time is there?", "minutes", TIMES).element, mattersField(), facts);
}
