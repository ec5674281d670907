/** What is chosen for the end of the queue, kept up to date on every page. */

import {api, emit, on, store} from "../../core/dom.js";
import {toast} from "../../core/parts.js";
import {poll} from "../../core/shell.js";
import {signal, standBy} from "./signals.js";

/** @typedef {import("../records").FinishedState} FinishedState */

const SEEN = "finished_seen";
const SECONDS = 4;
/** @type {FinishedState|null} */
let state = null;
/** The last message of this page, 0 before the first answer. */
let shown = 0;
/** How often this page has changed the choice: an answer to an earlier question is out of date. */
let changes = 0;

/** @param {FinishedState} now */
function take(now) {
    const opened = state === null;
    state = now;
    standBy(now.choice);
    if (now.notice) tell(now.notice, opened);
    emit("finished", now);
}

/**
 * Show a message once on each page; a sound or notification comes from one page of a browser only.
 * @param {import("../records").Notice} notice @param {boolean} opened whether the page has just been opened
 */
function tell(notice, opened) {
    const seen = Number(store.get(SEEN, 0)) || 0;
    if (notice.id > Math.max(shown, opened ? seen : 0)) {
        toast(/** @type {"good"|"info"|"warning"|"error"} */ (notice.level), notice.text);
        if (!opened && notice.id > seen) signal(notice.choice, notice.text);
        store.set(SEEN, notice.id);
    }
    shown = Math.max(shown, notice.id);
}

/**
 * @param {string} choice one of the fixed choices, by name
 * @param {string} seen the command that the user has confirmed, empty for another choice
 * @returns {Promise<void>}
 */
export async function choose(choice, seen) {
    changes += 1;
    take(await api("finished", {body: {choice, seen}}));
}

/** @returns {Promise<void>} */
export async function cancel() {
    changes += 1;
    take(await api("finished/cancel", {body: {}}));
}

const poller = poll(async () => {
    const before = changes;
    const now = await api("finished", {quiet: true});
    if (before === changes) take(now);
}, () => SECONDS, SECONDS);
on("mounted", poller.wake);
