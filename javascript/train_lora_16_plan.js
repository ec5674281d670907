/** What the settings add up to: steps, files, the learning rate over the run, and what is wrong with them. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, fill, setText, form, format} = TL;

    /** The last answer of /train-lora/job/check, null before the first. */
    TL.plan = null;

    function planCard() {
        const total = h("span", {class: "tl-total-value"});
        const sum = h("p", {class: "tl-total-sum"});
        const files = h("p", {class: "tl-note"});
        const problems = h("div", {});
        const chart = TL.scheduleChart();
        const body = h("div", {class: "tl-plan", hidden: true},
            h("p", {class: "tl-total", "aria-live": "polite"}, total), sum, chart.element, files);
        const empty = h("p", {class: "tl-note"}, "The number of steps appears here once there is a folder with pictures.");

        function show(plan) {
            const known = Boolean(plan && plan.total_steps);
            body.hidden = !known;
            empty.hidden = known;
            const own = plan ? unplaced(plan) : [];
            fill(problems, own.length ? TL.findings(own.map((text) => ({level: "error", text}))) : null);
            if (!known) return;
            setText(total, format.plural(plan.total_steps, "step"));
            setText(sum, howCounted(plan));
            setText(files, whatIsSaved(plan));
            chart.show(plan.schedule || [], plan.epochs);
        }

        TL.on("plan", show);
        return TL.card("What this adds up to", {id: "tl_plan"}, problems, empty, body);
    }

    /** Problems that no field shows. */
    function unplaced(plan) {
        return plan.problems.filter((text) => !document.querySelector(
            `#train_lora_root .tl-field[data-key="${form.keyOf(text)}"]`) && !aboutEmptyFolder(text)).map(form.inWords);
    }

    const aboutEmptyFolder = (text) => form.keyOf(text) === "dataset.train_data_dir" && !form.get("dataset.train_data_dir");

    function howCounted(plan) {
        const batch = Number(form.get("dataset.train_batch_size")) || 1;
        const gathered = Number(form.get("training.gradient_accumulation_steps")) || 1;
        const parts = [seenPerEpoch(), `÷ batch ${batch}`];
        if (gathered > 1) parts.push(`÷ ${gathered} accumulated`);
        const epochs = plan.epochs ? ` × ${format.plural(plan.epochs, "epoch")}` : "";
        return `${parts.join(" ")} = ${format.plural(plan.steps_per_epoch, "step")} an epoch,${epochs} = ` +
            format.plural(plan.total_steps, "step");
    }

    function seenPerEpoch() {
        const found = TL.dataset;
        if (!found) return "your pictures";
        const repeats = new Set((found.concepts || []).map((concept) => concept.repeats));
        const times = repeats.size === 1 ? [...repeats][0] : 1;
        if (repeats.size > 1) {
            const seen = found.concepts.reduce((sum, concept) => sum + concept.pictures * concept.repeats, 0);
            return `${format.plural(found.pictures, "picture")}, seen ${format.number(seen)} times`;
        }
        return `${format.plural(found.pictures, "picture")} × ${format.plural(times, "repeat")}`;
    }

    function whatIsSaved(plan) {
        const name = plan.output_name_final;
        const size = plan.file_size_bytes ? `, about ${format.bytes(plan.file_size_bytes)} each` : "";
        const asked = form.get("save.output_name");
        const every = Number(form.get("save.save_every_n_epochs"));
        const count = every && plan.epochs ? Math.max(1, Math.ceil(plan.epochs / every)) : 1;
        const files = `${format.plural(count, "file")}${size}`;
        if (!name) return `${files}. Give the LoRA a name.`;
        if (asked && name !== asked) return `${files}, saved as ${name}, since there is a ${asked} already.`;
        return `${files}, saved as ${name}.`;
    }

    /** @type {AbortController|null} */
    let asking = null;

    async function check() {
        if (!TL.host) return;
        if (asking) asking.abort();
        asking = new AbortController();
        try {
            const plan = await TL.api("job/check", {body: {job: form.job()}, quiet: true, signal: asking.signal});
            tell(plan);
        } catch (error) {
            if (error.name === "AbortError") return;
            tell({problems: error.problems && error.problems.length ? error.problems : [error.message]});
        }
    }

    /** Messages about what has not been filled in yet are no problems before Train was pressed. */
    function tell(plan) {
        TL.plan = plan;
        const byField = {};
        for (const text of plan.problems) {
            const key = form.keyOf(text);
            const untouched = key && !form.get(key) && !TL.strict;
            if (key && !untouched && !byField[key]) byField[key] = form.inWords(text);
        }
        TL.emit("problems", byField);
        TL.emit("plan", plan);
    }

    const checkSoon = TL.later(check, 350);
    for (const name of ["setting", "host", "dataset"]) TL.on(name, checkSoon);

    Object.assign(TL, {planCard, checkJob: check, strict: false});
})();
