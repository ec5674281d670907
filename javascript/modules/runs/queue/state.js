/** The state of the queue, and requests that change it. */

import {api, emit} from "../../core/dom.js";

/** @typedef {import("./answers").QueueState} QueueState */

/** @type {QueueState} */
export let queue = {on_hold: false, since: 0, problem: "", after_failure: false, failed: "", gpus: []};

/** @param {QueueState} state */
function take(state) {
    queue = state;
    emit("queue", state);
}

export async function askQueue() {
    take(await api("queue", {quiet: true}));
}

/** @param {boolean} held whether to start nothing further */
export async function holdQueue(held) {
    take(await api("queue/hold", {body: {on_hold: held}}));
}

/** @param {boolean} hold whether a training that fails puts the queue on hold */
export async function holdAfterFailure(hold) {
    take(await api("queue/after-failure", {body: {hold}}));
}

/** @param {string} id @param {string} before the run to move it in front of, empty for the end */
export async function moveRun(id, before) {
    take(await api(`runs/${encodeURIComponent(id)}/queue/move`, {body: {before}}));
}

/** @param {string} id @param {boolean} held */
export async function holdRun(id, held) {
    take(await api(`runs/${encodeURIComponent(id)}/queue/hold`, {body: {on_hold: held}}));
}

/** @param {string} id @param {string} device a GPU, or "any" */
export async function chooseGpu(id, device) {
    take(await api(`runs/${encodeURIComponent(id)}/queue/device`, {body: {device}}));
}
