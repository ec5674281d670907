/** The timeline of training phases: a bar of phases with boundaries to drag, and the settings that the chosen one changes. */

import {fill, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button} from "../../core/parts.js";
import {field} from "../fields.js";
import {form} from "../form.js";
import {changePhase, changedKeys, epochsOf, moveBoundary, phasesOf, setPhases, valuesOf} from "./values.js";

/** @typedef {import("../values").Field} Field */
/** @typedef {import("../answers").PlannedPhase} PlannedPhase */

const KEY = "training.phases";
const FIRST_NAME = "training.first_phase_name";
const WORDS = "Each phase continues with the settings of the one before, except for those it changes: resolution, images, " +
    "learning rate and schedule, trained parts, augmentation, loss.";

/** @returns {HTMLElement} */
export function timeline() {
    let chosen = -1;
    /** @type {PlannedPhase[]} */
    let planned = [];
    /** @type {Field[]} */
    let fields = [];
    let built = "";
    /** @type {() => void} shows a length that was changed by dragging */
    let showLength = () => {};
    /** @type {() => void} shows a name that was changed elsewhere, by an undo for example */
    let showName = () => {};
    const bar = h("div", {class: "tl-phases", role: "group", "aria-label": "Training phases"});
    const facts = h("p", {class: "tl-note"});
    const editor = h("div", {class: "tl-phase-editor"});
    const problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
    const note = h("p", {class: "tl-field-note", hidden: true});
    const add = button("Add a phase", {icon: "plus", small: true, id: "tl_add_phase", title: WORDS, click: () => {
        const before = epochsOf(phasesOf().length - 1);
        setPhases([...phasesOf(), {name: "", epochs: Math.max(1, Math.round((before || 4) / 4))}]);
        choose(phasesOf().length - 1);
    }});

    /** @param {number} index -1 for the first phase, the form itself */
    function choose(index) {
        chosen = index;
        show();
    }

    /** @param {number} index */
    const titleOf = (index) => nameOf(index) || `Phase ${index + 2}`;
    /** @param {number} index @returns {string} empty if it has none */
    const nameOf = (index) => String((index < 0 ? form.get(FIRST_NAME) : phasesOf()[index].name) || "");
    /** @param {number} index */
    const lengthOf = (index) => {
        const steps = index < 0 ? form.get("training.max_train_steps") : phasesOf()[index].steps;
        return steps ? format.plural(Number(steps), "step") : format.plural(epochsOf(index) || 0, "epoch");
    };
    /** @param {number} index @returns {number} its share of the bar */
    const weightOf = (index) => planned[index + 1]?.steps || epochsOf(index) || Number(phasesOf()[index]?.steps) || 1;

    function showBar() {
        const count = phasesOf().length;
        bar.hidden = count === 0;
        const focused = bar.contains(document.activeElement) ? document.activeElement?.getAttribute("data-place") : null;
        fill(bar, Array.from({length: count + 1}, (_, place) => place - 1).map((index) => [
            index >= 0 ? boundary(index - 1) : null,
            h("button", {type: "button", class: "tl-phase", "aria-pressed": String(index === chosen),
                style: `flex-grow: ${weightOf(index)}`, data: {place: `phase${index}`}, title: titleOf(index),
                on: {click: () => choose(index)}},
            h("b", {}, titleOf(index)), h("span", {}, lengthOf(index)))]));
        if (focused) /** @type {HTMLElement|null} */ (bar.querySelector(`[data-place="${focused}"]`))?.focus();
    }

    /** A handle to drag, or to move with the arrow keys. @param {number} left the phase at its left */
    function boundary(left) {
        const fixed = Number.isNaN(epochsOf(left) + epochsOf(left + 1));
        const element = h("div", {class: "tl-phase-boundary-handle", role: "separator", tabindex: fixed ? "-1" : "0",
            "aria-orientation": "vertical", "aria-label": `Boundary between ${titleOf(left)} and ${titleOf(left + 1)}`,
            "aria-valuenow": fixed ? null : String(epochsOf(left)), data: {place: `boundary${left}`},
            title: fixed ? "Phases counted in steps have no boundary to drag" : "Drag to move epochs from one to the other",
            on: {pointerdown: (event) => (fixed ? undefined : drag(event, left)), keydown: (event) => {
                const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
                if (!step || fixed) return;
                event.preventDefault();
                moveBoundary(left, epochsOf(left) + step);
            }}});
        return element;
    }

    /** @param {PointerEvent} event @param {number} left */
    function drag(event, left) {
        event.preventDefault();
        const before = epochsOf(left);
        const [one, other] = [left, left + 1].map((index) =>
            bar.querySelector(`[data-place="phase${index}"]`)?.getBoundingClientRect().width || 1);
        const each = (one + other) / (before + epochsOf(left + 1));
        const move = (/** @type {PointerEvent} */ now) => moveBoundary(left, before + (now.clientX - event.clientX) / each);
        const end = () => {
            removeEventListener("pointermove", move);
            removeEventListener("pointerup", end);
        };
        addEventListener("pointermove", move);
        addEventListener("pointerup", end);
    }

    function showFacts() {
        const phase = planned[chosen + 1];
        const time = phase && phase.seconds ? `, about ${format.duration(phase.seconds)}` : "";
        const where = phase ? phase.epochs === 1 ? `epoch ${phase.first_epoch}` :
            `epochs ${phase.first_epoch} to ${phase.first_epoch + phase.epochs - 1}` : "";
        facts.hidden = !phasesOf().length;
        setText(facts, phase ? `${titleOf(chosen)}: ${where}, ${format.plural(phase.steps, "step")} on ` +
            `${format.plural(phase.images, "image")}${time}. ${chosen < 0 ? "It has the settings of the form." :
                phase.own_curve ? "It has a rate curve of its own." : "It continues the rate curve of the phase before."}` :
            WORDS);
    }

    function showEditor() {
        const phase = phasesOf()[chosen];
        const keys = phase ? changedKeys(phase) : [];
        const first = chosen < 0 && phasesOf().length > 0;
        const signature = phase ? JSON.stringify([chosen, phasesOf().length, keys, "steps" in phase]) : first ? "first" : "";
        if (signature === built) {
            for (const one of fields) one.refresh();
            showLength();
            showName();
            return;
        }
        built = signature;
        editor.hidden = !phase && !first;
        fields = [];
        if (!phase) {
            fill(editor, first ? h("div", {class: "tl-phase-head"}, nameBox(chosen)) : null);
            return;
        }
        const values = valuesOf(chosen);
        fields = keys.flatMap((key) => {
            const setting = form.settings.get(key);
            return setting ? [field(setting, values)] : [];
        });
        for (const one of fields) delete one.element.dataset.key;  // the form's own field has it
        fill(editor, head(chosen), h("div", {class: "tl-fields"}, fields.map((one) => one.element)));
    }

    /** @param {number} index @returns {HTMLElement} the field for its name */
    function nameBox(index) {
        const box = h("input", {class: "tl-input", type: "text", placeholder: `Phase ${index + 2}`, maxlength: "60",
            "aria-label": "Name of the phase", value: nameOf(index), on: {input: () =>
                (index < 0 ? form.set(FIRST_NAME, box.value) : changePhase(index, {name: box.value}))}});
        showName = () => {
            if (document.activeElement !== box) box.value = nameOf(index);
        };
        return box;
    }

    /** Name, length, and what can be done with the phase. @param {number} index */
    function head(index) {
        const phase = phasesOf()[index];
        const inSteps = "steps" in phase;
        const kind = h("select", {class: "tl-input tl-select", "aria-label": "Length in", value: inSteps ? "steps" : "epochs",
            on: {change: () => (kind.value === "steps" ?
                changePhase(index, {steps: planned[index + 1]?.steps || 100}, ["epochs"]) :
                changePhase(index, {epochs: planned[index + 1]?.epochs || 1}, ["steps"]))}},
        ["epochs", "steps"].map((name) => h("option", {value: name}, name)));
        const length = h("input", {class: "tl-input", type: "text", inputmode: "numeric", "aria-label": "Length",
            value: String((inSteps ? phase.steps : phase.epochs) ?? ""), on: {input: (event) => {
                const typed = event.currentTarget.value.trim();
                const value = /** @type {number} */ (/^\d+$/.test(typed) ? Number(typed) : typed || undefined);
                changePhase(index, inSteps ? {steps: value} : {epochs: value});
            }}});
        showLength = () => {
            const now = phasesOf()[index];
            if (document.activeElement !== length) length.value = String((inSteps ? now.steps : now.epochs) ?? "");
        };
        return h("div", {class: "tl-phase-head"},
            nameBox(index), length, kind, changeMenu(index),
            button("Duplicate", {kind: "quiet", small: true, click: () => {
                setPhases(phasesOf().flatMap((one, place) => (place === index ? [one, structuredClone(one)] : [one])));
                choose(index + 1);
            }}),
            button("Remove", {kind: "quiet", small: true, click: () => {
                setPhases(phasesOf().filter((_, place) => place !== index));
                choose(Math.min(index, phasesOf().length - 1));
            }}));
    }

    /** A menu of the settings that the phase does not change yet. @param {number} index */
    function changeMenu(index) {
        const taken = changedKeys(phasesOf()[index]);
        const free = form.ofPhases.filter((key) => !taken.includes(key));
        const groups = [...new Set(free.map((key) => form.settings.get(key)?.section || ""))];
        const menu = h("select", {class: "tl-input tl-select", "aria-label": "Change a setting", on: {change: () => {
            const values = valuesOf(index);
            if (menu.value) values.set(menu.value, values.get(menu.value) ?? null);
        }}}, h("option", {value: ""}, "Change a setting…"), groups.map((section) => h("optgroup", {label: section},
            free.filter((key) => form.settings.get(key)?.section === section).map((key) =>
                h("option", {value: key}, form.settings.get(key)?.label || key)))));
        return menu;
    }

    function show() {
        chosen = Math.min(chosen, phasesOf().length - 1);
        showBar();
        showFacts();
        showEditor();
    }

    on("setting", show);
    on("plan", (plan) => {
        planned = plan.phases;
        show();
    });
    on("problems", (problems) => {
        setText(problem, problems[KEY] || "");
        element.classList.toggle("tl-has-problem", Boolean(problems[KEY]));
    });
    on("notes", (notes) => {
        setText(note, notes[KEY] || "");
        note.hidden = !notes[KEY];
    });
    const element = h("div", {class: "tl-field tl-wide tl-timeline", data: {key: KEY}},
        h("div", {class: "tl-field-head"}, h("span", {class: "tl-label"}, "Training phases"), add),
        bar, facts, editor, problem, note);
    show();
    return element;
}
