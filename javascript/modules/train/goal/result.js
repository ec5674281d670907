/** A plan as shown below the questions: reasons, what only the user can do, and one step up or down. */

import {h} from "../../core/dom.js";
import {button, fold, icon} from "../../core/parts.js";
import {valueInWords} from "../fields.js";
import {form} from "../form.js";
import {setLength} from "./planned.js";
import {costSentence, costWords, planSentence} from "./words.js";

/** @typedef {import("../answers").GoalPlan} GoalPlan */
/** @typedef {import("../answers").GoalReason} GoalReason */

/**
 * @param {GoalPlan} plan
 * @param {{undo: () => void, close: () => void}} actions
 * @returns {HTMLElement[]}
 */
export function planElements(plan, actions) {
    const head = h("div", {class: "tl-why-head"}, h("p", {}, h("b", {}, planSentence(plan)), ` ${costSentence(plan)}`),
        button("Undo", {small: true, click: actions.undo}),
        button("Close", {kind: "quiet", icon: "close", iconOnly: true, small: true, click: actions.close}));
    const hints = [...(plan.checked.text ? [form.inWords(plan.checked.text)] : []), ...(plan.tested ? [plan.tested.text] : []), ...plan.todo.map((one) => form.inWords(one.text))];
    return [head, h("div", {class: "tl-hints"}, hints.map((text) =>
        h("p", {class: "tl-hint"}, icon("bulb"), h("span", {}, text)))),
    fold("Why these settings", reasonList(plan)), ...(plan.around.length ? [fold("One step up or down", stepTable(plan))] : [])];
}

/** @param {GoalPlan} plan */
function reasonList(plan) {
    const order = [...plan.reasons].sort((one, other) => Number(other.changed) - Number(one.changed));
    return h("dl", {}, order.flatMap((one) => {
        const setting = form.settings.get(one.key);
        return setting ? [h("dt", {}, `${setting.label}: ${valueInWords(one.after)}`), reasonElement(one)] : [];
    }));
}

/** @param {GoalReason} one */
function reasonElement(one) {
    const was = `It was ${valueInWords(one.before)}.`;
    const keep = button("Keep mine", {kind: "quiet", small: true, click: () => {
        form.set(one.key, one.before);
        keep.hidden = true;
    }});
    keep.hidden = !one.typed;
    return h("dd", {}, form.inWords(one.reason), one.earlier.length ? ` Instead of: ${one.earlier.map(form.inWords).join(" ")}` : "",
        one.changed ? h("span", {class: "tl-muted"}, ` ${was}`) : null, " ",
        h("span", {class: "tl-goal-source"}, `(${one.source})`), " ", keep);
}

/** @param {GoalPlan} plan */
function stepTable(plan) {
    const row = (/** @type {string} */ name, /** @type {string} */ effect, /** @type {import("../answers").GoalCost} */ cost,
        /** @type {HTMLElement|null} */ use) => {
        const {time, memory, file} = costWords(cost);
        return h("tr", {}, h("th", {scope: "row"}, name), h("td", {}, effect), h("td", {}, time), h("td", {}, memory),
            h("td", {}, file), h("td", {}, use));
    };
    return h("div", {}, h("p", {class: "tl-note"}, "Each row is the plan with that step alone. You can use several: the summary " +
        "says what they cost together."), h("div", {class: "tl-table-scroll"}, h("table", {class: "tl-table tl-goal-steps"},
        h("thead", {}, h("tr", {}, ["Step", "Effect", "Time", "Memory", "File", ""].map((text) =>
            h("th", {scope: "col"}, text || h("span", {class: "tl-hidden-text"}, "Use"))))),
        h("tbody", {}, row("The plan", "", plan.cost, null), plan.around.map((one) => row(one.label, one.effect, one.cost,
            button("Use", {small: true, title: `Use ${one.label}`, click: () => {
                if ("training.max_train_epochs" in one.changes) setLength(one.images_seen);
                form.setAll(one.changes);
            }})))))));
}
