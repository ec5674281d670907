/** The card "What do you want to train?": a goal becomes a filled form, with its reasons; and the test bake. */

import {api, emit, fill, h, on, setText, store} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {environmentState} from "../../core/host.js";
import {button, card, fold, toast} from "../../core/parts.js";
import {readTxt2img} from "../../core/txt2img_form.js";
import {dataset} from "../images/dataset.js";
import {form} from "../form.js";
import {checkJob, plan as summary, setStrict} from "../plan.js";
import {setPlanned} from "./planned.js";
import {goalAnswers, questions} from "./questions.js";
import {planElements} from "./result.js";
import {bakeWords} from "./words.js";

const TEST_NAME = /-test(-v\d+)?$/;

/** @param {{started: (id: string, name: string) => void}} train @returns {HTMLElement} */
export function goalCard(train) {
    const result = h("div", {class: "tl-why", hidden: true, "aria-live": "polite"});
    const make = button("Make a plan", {kind: "primary", id: "tl_goal_plan", click: () => busy(plan)});
    const test = button("Bake a test first", {id: "tl_goal_test", title: "Trains the settings of the form for about ten " +
        "minutes, under the name with -test. Its measured time and diagnosis improve the next plan.", click: () => busy(bake)});
    const progress = h("p", {id: "tl_goal_bake", hidden: true});
    const note = h("p", {class: "tl-note"}, "A plan fills the form, and says why. A test bake of about ten minutes measures the " +
        "time and shows whether the set is learned; then make the plan again.");
    /** @type {Record<string, import("../values").Value>} */
    let before = {};

    /** @param {() => Promise<void>} work */
    async function busy(work) {
        make.disabled = test.disabled = true;
        try {
            await work();
        } catch {
            // already reported by a toast
        } finally {
            make.disabled = test.disabled = false;
            show();
        }
    }

    async function plan() {
        const answer = await api("goal/plan", {body: {goal: goalAnswers(), job: form.job()}});
        before = form.snapshot();
        setPlanned(answer);
        form.take(answer.values);
        emit("notes", {});
        fill(result, planElements(answer, {undo, close}));
        result.hidden = false;
        await checkJob();
    }

    function undo() {
        setPlanned(null);
        form.restore(before);
        close();
        checkJob();
    }

    function close() {
        result.hidden = true;
    }

    async function bake() {
        setStrict(true);
        await checkJob();
        const problems = summary ? summary.problems : [];
        if (problems.length) {
            toast("warning", "Something is still missing or wrong in the form.", {problems: problems.map(form.inWords)});
            return;
        }
        const job = form.job();
        const {values, measured} = await api("goal/test", {body: {goal: goalAnswers(), job}});
        for (const [group, content] of Object.entries(values)) job[group] = {...job[group], ...content};
        const txt2img = form.get("sample.sample_by") === "worker" ? null : await readTxt2img();
        const {id, name} = await api("runs", {body: {job, txt2img}});
        setStrict(false);
        const steps = format.plural(Number(values.training.max_train_steps), "step");
        toast("good", `${name}: ${steps}${measured ? ", about ten minutes" : "; how long they take is measured now"}. ` +
            "When it is done, make the plan again.");
        train.started(id, name);
    }

    function show() {
        test.disabled = environmentState() !== "ready" || !dataset;
    }

    on("run", (run) => {
        const {name, lora_name: lora} = run.summary;
        if (!TEST_NAME.test(lora || name)) return;
        progress.hidden = !run.open && progress.hidden;  // a bake that has ended before is not news
        setText(progress, `${name}${run.open ? `: ${run.sentence()}` : ` ${bakeWords(run.summary)}`}`);
    });
    on("run-ended", (run) => {
        const {name, lora_name: lora} = run.summary;
        if (TEST_NAME.test(lora || name)) toast("info", `The test bake ${name} ${bakeWords(run.summary)}`);
    });
    for (const name of /** @type {const} */ (["host", "dataset"])) on(name, show);
    show();
    const body = fold("Answer five questions, and the form is filled with the reasons", questions(),
        h("div", {class: "tl-row tl-goal-buttons"}, make, test), progress, note, result);
    body.open = store.get("goal_open", true);
    body.addEventListener("toggle", () => store.set("goal_open", body.open));
    return card("What do you want to train?", {id: "tl_goal"}, body);
}
