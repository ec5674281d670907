/** The bar at the foot of the Train tab: status, progress and buttons. */

import {api, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {environmentState, host} from "../core/host.js";
import {button, toast} from "../core/parts.js";
import {root} from "../core/shell.js";
import {readTxt2img} from "../core/txt2img_form.js";
import {askForVariants} from "../runs/compare/variants.js";
import {RunControls} from "../runs/controls.js";
import {FinishedChoice} from "../runs/finished/choice.js";
import {cancelEdit, editedRun, saveEdit} from "../runs/queue/edit.js";
import {QueueList} from "../runs/queue/list.js";
import {queue as queueState} from "../runs/queue/state.js";
import {form} from "./form.js";
import {checkJob, plan as planState, setStrict} from "./plan.js";

/** @typedef {import("../runs/model.js").RunModel} RunModel */

/**
 * @param {{run: () => RunModel|null, started: (id: string, name: string) => void}} train `run` returns the run shown
 * in the tab
 * @returns {HTMLElement}
 */
export function actionBar(train) {
    const sentence = h("p", {class: "tl-action-sentence", role: "status"});
    const second = h("p", {class: "tl-action-second"});
    const controls = new RunControls(() => editedRun() ? null : train.run(), "tl");  // never beside another run's name
    const start = button("Train", {kind: "primary", icon: "play", id: "tl_train", click: press});
    const queue = button("Queue another", {icon: "plus", id: "tl_queue", click: press});
    const vary = button("Vary a setting", {id: "tl_vary", title: "Queue this job with several values of one setting, or on " +
        "several bases", click: () => askForVariants(null)});
    const save = button("Save to the queued run", {kind: "primary", icon: "check", id: "tl_save_queued", click: press});
    const cancel = button("Cancel", {id: "tl_cancel_edit", click: cancelEdit});
    const waiting = new QueueList(() => train.run()?.id || "");
    let busy = false;
    let clearNotice = () => {};
    on("plan", ({problems}) => {
        if (!problems.length) clearNotice();
    });

    async function press() {
        setStrict(true);
        setBusy(true);
        await checkJob();
        const problems = planState ? planState.problems : [];
        if (problems.length) {
            toFirstProblem();
            clearNotice();
            clearNotice = toast("warning", "Something is still missing or wrong in the form.",
                {problems: problems.map(form.inWords)});
        } else {
            await begin();
        }
        setBusy(false);
    }

    async function begin() {
        if (editedRun()) {
            if (await saveEdit()) setStrict(false);
            return;
        }
        try {
            const txt2img = form.get("sample.sample_by") === "worker" ? null : await readTxt2img();
            const {id, name} = await api("runs", {body: {job: form.job(), txt2img}});
            setStrict(false);
            train.started(id, name);
        } catch {
            // already reported by a toast
        }
    }

    /** @param {boolean} now */
    function setBusy(now) {
        busy = now;
        show();
    }

    function show() {
        const run = train.run();
        const {live} = controls;
        const edited = editedRun();
        save.hidden = cancel.hidden = !edited;
        start.hidden = live || Boolean(edited);
        queue.hidden = !live || Boolean(edited);
        vary.hidden = Boolean(edited);
        save.disabled = vary.disabled = start.disabled = queue.disabled = busy || environmentState() !== "ready";
        setText(sentence, edited ? `Editing the queued run ${edited.name}.` : run && live ? run.sentence() : idleSentence(run));
        setText(second, edited ? besideEditing(run) : secondLine(run));
        waiting.show();
        controls.show();
    }

    for (const name of /** @type {const} */ (["run", "runs", "plan", "host", "dataset", "shown-run", "queue", "editing"])) on(name, show);
    show();
    return h("div", {class: "tl-actions", role: "region", "aria-label": "Training"}, controls.bar,
        waiting.element,
        h("div", {class: "tl-actions-row"}, h("div", {class: "tl-action-words"}, sentence, second),
            new FinishedChoice("tl_finished").element,
            h("div", {class: "tl-action-buttons"}, waiting.toggle, controls.buttons, vary, queue, start, cancel, save)));
}

/** @param {RunModel|null} run */
function idleSentence(run) {
    const plan = planState;
    const environment = environmentState();
    if (environment === "installing") return "You can train as soon as the packages are installed.";
    if (environment !== "ready") return "Install the training packages first, with the button at the top.";
    if (!form.get("dataset.train_data_dir")) return "Choose a folder with images to begin.";
    if (!form.get("save.output_name")) return "Give the LoRA a name to begin.";
    const wrong = plan ? plan.problems.length : 0;
    if (wrong) return `Fix ${format.plural(wrong, "problem")} in the form first.`;
    if (plan && plan.total_steps) {
        return `Ready: ${format.plural(plan.total_steps, "step")}, saved as ${plan.output_name_final}.`;
    }
    return run ? run.sentence() : "Press Load to read the folder.";
}

/** @param {RunModel|null} run */
function secondLine(run) {
    if (run && run.open) {
        const busy = host && host.busy && host.busy.text;
        const pace = run.paceText();
        if (run.state === "waiting") return whyWaiting(run) || busy || "It starts by itself when the run before it is done.";
        return `${run.summary.name}${pace ? `: ${pace}` : ""}${busy ? `. ${busy}` : ""}`;
    }
    if (run) return `Last run: ${run.summary.name}. ${run.sentence()}`;
    return "";
}

/** The active run by its name; its buttons are hidden meanwhile. @param {RunModel|null} run */
function besideEditing(run) {
    return run && run.atWork ? `Meanwhile ${run.summary.name}: ${run.sentence()}` : "";
}

/** @param {RunModel} run that waits */
function whyWaiting(run) {
    if (queueState.on_hold && queueState.failed) return `On hold until you release the queue, since ${queueState.failed} failed.`;
    if (queueState.on_hold) return "The queue is on hold: it starts when you release the queue.";
    return run.summary.on_hold ? "It is on hold: it starts after you release it in the queue." : "";
}

function toFirstProblem() {
    const first = root.querySelector(".tl-has-problem");
    if (!first) return;
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    first.scrollIntoView({block: "center", behavior: reduced ? "auto" : "smooth"});
    const control = first.querySelector("input, select, textarea");
    if (control instanceof HTMLElement) control.focus({preventScroll: true});
}
