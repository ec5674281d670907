/** The bar at the foot of the Train tab: what is going on, how far it is, and the buttons. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, setText, form, format} = TL;

    /**
     * @param {{run: () => any, started: (id: string) => void}} train `run` is the run that the tab shows
     * @returns {HTMLElement}
     */
    function actionBar(train) {
        const sentence = h("p", {class: "tl-action-sentence", role: "status"});
        const second = h("p", {class: "tl-action-second"});
        const fillBar = h("div", {class: "tl-bar-fill"});
        const bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the training",
            "aria-valuemin": "0", "aria-valuemax": "100"}, fillBar);
        const start = TL.button("Train", {kind: "primary", icon: "play", id: "tl_train", click: press});
        const pause = TL.button("Pause", {icon: "pause", id: "tl_pause", click: () => act("pause")});
        const resume = TL.button("Go on", {kind: "primary", icon: "play", id: "tl_resume", click: () => act("resume")});
        const stop = TL.button("Stop", {icon: "stop", kind: "danger", id: "tl_stop", click: () => act("stop")});
        let busy = false;

        async function press() {
            TL.strict = true;
            setBusy(true);
            await TL.checkJob();
            const problems = TL.plan ? TL.plan.problems : [];
            if (problems.length) {
                toFirstProblem();
                TL.toast("warning", "Something is still missing or wrong in the form.", {problems: problems.map(form.inWords)});
            } else {
                await begin();
            }
            setBusy(false);
        }

        async function begin() {
            try {
                const {id} = await TL.api("runs", {body: {job: form.job()}});
                TL.strict = false;
                train.started(id);
            } catch {
                // the toast has said why
            }
        }

        async function act(action) {
            setBusy(true);
            try {
                await TL.runs.control(train.run().id, action);
            } catch {
                // the toast has said why
            }
            setBusy(false);
        }

        function setBusy(now) {
            busy = now;
            show();
        }

        function show() {
            const run = train.run();
            const live = run && run.open;
            const state = run ? run.state : "";
            setText(start.querySelector(".tl-button-label"), live ? "Queue another" : "Train");
            start.classList.toggle("tl-primary", !live);
            start.classList.toggle("tl-secondary", Boolean(live));
            start.disabled = busy || TL.environmentState() !== "ready";
            pause.hidden = !live || !["running", "starting", "pausing"].includes(state);
            pause.disabled = busy || state === "pausing";
            resume.hidden = !live || state !== "paused";
            stop.hidden = !live;
            stop.disabled = busy || state === "stopping";
            resume.disabled = busy;
            setText(sentence, live ? run.sentence() : idleSentence(run));
            setText(second, secondLine(run));
            showProgress(live ? run.progressNow().share : 0, Boolean(live));
        }

        function showProgress(share, live) {
            bar.classList.toggle("tl-bar-unknown", live && share === null);
            bar.classList.toggle("tl-bar-idle", !live);
            fillBar.style.width = `${(100 * (share || 0)).toFixed(2)}%`;
            if (share === null) bar.removeAttribute("aria-valuenow");
            else bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        }

        for (const name of ["run", "runs", "plan", "host", "dataset", "shown-run"]) TL.on(name, show);
        show();
        return h("div", {class: "tl-actions", role: "region", "aria-label": "Training"}, bar,
            h("div", {class: "tl-actions-row"}, h("div", {class: "tl-action-words"}, sentence, second),
                h("div", {class: "tl-action-buttons"}, pause, resume, stop, start)));
    }

    function idleSentence(run) {
        const plan = TL.plan;
        const environment = TL.environmentState();
        if (environment === "installing") return "You can train as soon as the packages are installed.";
        if (environment !== "ready") return "Install the training packages first, with the button at the top.";
        if (!form.get("dataset.train_data_dir")) return "Choose a folder with pictures to begin.";
        if (!form.get("save.output_name")) return "Give the LoRA a name, and it can be trained.";
        if (plan && plan.problems.length) return `${format.plural(plan.problems.length, "thing")} to mend in the form first.`;
        if (plan && plan.total_steps) return `Ready: ${format.plural(plan.total_steps, "step")}, saved as ${plan.output_name_final}.`;
        return run ? run.sentence() : "Press Look to see what is in the folder.";
    }

    function secondLine(run) {
        if (run && run.open) {
            const busy = TL.host && TL.host.busy && TL.host.busy.text;
            const speed = run.lastStep && run.lastStep.seconds_per_step;
            const parts = [run.summary.name];
            if (speed && run.state === "running") {
                parts.push(speed < 1 ? `${(1 / speed).toFixed(1)} steps a second` : `${speed.toFixed(1)} s a step`);
            }
            return [parts.join(", "), busy || ""].filter(Boolean).join(". ");
        }
        if (run) return `Last run: ${run.summary.name}. ${run.sentence()}`;
        return "";
    }

    function toFirstProblem() {
        const first = TL.root.querySelector(".tl-has-problem");
        if (!first) return;
        const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
        first.scrollIntoView({block: "center", behavior: reduced ? "auto" : "smooth"});
        const control = first.querySelector("input, select, textarea");
        if (control) control.focus({preventScroll: true});
    }

    TL.actionBar = actionBar;
})();
