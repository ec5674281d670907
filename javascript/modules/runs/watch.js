/** Keeps the runs on the page up to date: the list, and each open run. */

import {api, emit, on, url} from "../core/dom.js";
import {toast} from "../core/parts.js";
import {poll} from "../core/shell.js";
import {RunModel} from "./model.js";
import {inQueue} from "./queue/order.js";
import {askQueue} from "./queue/state.js";
import {OPEN} from "./state_words.js";

/** @typedef {import("../core/types").RunSummary} RunSummary */

/** @typedef {"pause"|"resume"|"stop"|"withdraw"} Action a request to a run; withdraw removes it from the queue */

const TOOLS = ["extract", "merge", "mix", "resize", "inspect"];
/** @type {Map<string, RunModel>} */
const models = new Map();
/** @type {Map<string, number>} number of views of a run */
const watched = new Map();
/** @type {RunSummary[]} the training runs of /train-lora/runs, newest first; tagging runs are shown elsewhere */
let runs = [];
let lost = false;

/** @param {string} id @returns {RunModel} the run's model, shared by all views */
function model(id) {
    const run = models.get(id) || new RunModel(id);
    models.set(id, run);
    return run;
}

/** @param {string} id */
async function askRun(id) {
    const run = model(id);
    const answer = await api(`runs/${encodeURIComponent(id)}?since=${run.offset}`, {quiet: true});
    const before = run.summary.state;
    const first = run.job === null;
    run.take(answer);
    emit("run", run);
    if (!first && before !== run.summary.state) {
        poller.wakeList();
        if (!run.open) reportEnd(run);
    }
}

/** @type {Record<string, "good"|"error">} */
const END_KINDS = {finished: "good", failed: "error", lost: "error", damaged: "error"};

/** @param {RunModel} run */
function reportEnd(run) {
    emit("run-ended", run);
    const kind = END_KINDS[run.summary.state] || "info";
    toast(kind, `${run.summary.name}: ${run.sentence()}`);
}

async function askOpenRuns() {
    const ids = [...watched.keys()].filter((id) => model(id).open || model(id).job === null);
    try {
        await Promise.all(ids.map(askRun));
        lost = false;
    } catch (error) {
        if (!lost) toast("error", /** @type {Error} */ (error).message);
        lost = true;
    }
}

async function askList() {
    /** @type {[RunSummary[], void]} */
    const [all] = await Promise.all([api("runs", {quiet: true}), askQueue()]);
    runs = all.filter((run) => run.command === "train");  // tagging and tools are shown elsewhere
    runs.forEach(noticeResumed);
    emit("runs", runs);
    emit("tools", all.filter((run) => TOOLS.includes(run.command)));
}

/**
 * An ended run may have been continued from another page.
 * @param {RunSummary} summary
 */
function noticeResumed(summary) {
    const run = models.get(summary.id);
    if (!run || run.open || !OPEN.includes(summary.state)) return;
    run.summary = {...run.summary, state: summary.state};
    runPoller.wake();
}

const anyOpen = () => [...watched.keys()].some((id) => model(id).open);
const runPoller = poll(askOpenRuns, () => (anyOpen() ? (lost ? 4 : 1) : 0));
const listPoller = poll(askList, () => 4, 15);
const poller = {wakeRun: runPoller.wake, wakeList: listPoller.wake};

/** @param {string} id */
function watch(id) {
    watched.set(id, (watched.get(id) || 0) + 1);
    runPoller.wake();
}

/** @param {string} id */
function unwatch(id) {
    const count = (watched.get(id) || 0) - 1;
    if (count > 0) watched.set(id, count);
    else watched.delete(id);
}

/**
 * @param {string} id @param {Action} action
 * @returns {Promise<void>}
 */
async function control(id, action) {
    const answer = await api(`runs/${encodeURIComponent(id)}/control`, {body: {action}});
    const run = model(id);
    run.control = answer.control;
    emit("run", run);
    runPoller.wake();
    listPoller.wake();
}

/**
 * @param {string} id @param {{how?: string, epochs?: number, rate_factor?: number}} options
 * @returns {Promise<void>}
 */
async function continueRun(id, options) {
    await api(`runs/${encodeURIComponent(id)}/continue`, {body: options});
    const run = model(id);
    run.summary = {...run.summary, state: "waiting"};
    emit("run", run);
    runPoller.wake();
    listPoller.wake();
}

/**
 * @param {string} id @param {Partial<import("./records").RunNote>} change
 * @returns {Promise<void>}
 */
async function note(id, change) {
    await api(`runs/${encodeURIComponent(id)}/note`, {body: change});
    await askRun(id);
    listPoller.wake();
}

/**
 * Moves a run to the trash.
 * @param {string} id @param {boolean} files whether to move the files that it saved too
 * @returns {Promise<void>}
 */
async function remove(id, files) {
    await api(`runs/${encodeURIComponent(id)}/delete`, {body: {files}});
    runs = runs.filter((run) => run.id !== id);
    emit("run-deleted", id);
    models.delete(id);
    emit("runs", runs);
    listPoller.wake();
}

/**
 * Moves all LoRA files of a run but `path` to the trash.
 * @param {string} id @param {string} path
 * @returns {Promise<void>}
 */
async function keepOnly(id, path) {
    await api(`runs/${encodeURIComponent(id)}/keep-only`, {body: {path}});
    await askRun(id);
}

/** @returns {RunSummary|undefined} the active run, else the first queued one; undefined if there is none */
function liveRun() {
    return runs.find((run) => run.alive) || runs.find((run) => run.state === "waiting" && run.place === null) || waitingRuns()[0];
}

/** @returns {RunSummary[]} the queued runs, the next one first */
function waitingRuns() {
    return inQueue(runs);
}

/** @param {string} id @param {string} path inside the run's folder @returns {string} */
function fileUrl(id, path) {
    return url(`runs/${encodeURIComponent(id)}/file?path=${encodeURIComponent(path)}`);
}

const runList = {model, watch, unwatch, control, note, remove, keepOnly, continueRun, live: liveRun, waiting: waitingRuns, fileUrl, all: () => runs,
    refresh: () => {
        listPoller.wake();
        runPoller.wake();
    },
    refreshList: () => askList().catch(() => {}),
    /** Reload a run, for example after its files have changed. @param {string} id */
    again: (id) => (watched.has(id) ? askRun(id).catch(() => {}) : undefined)};
on("mounted", listPoller.wake);

export {runList as runs};
