/** Says once in each browser which runs failed or were interrupted while the page was closed or not visible. */

import {on, store} from "../../core/dom.js";
import {toast} from "../../core/parts.js";
import {failedSince, failedWords} from "./failed_words.js";

const SEEN = "failed_seen";
let opened = true;

on("runs", (runs) => {
    const failed = failedSince(runs, Number(store.get(SEEN, 0)) || 0, Date.now() / 1000);
    if (failed.length) {
        if (opened || document.hidden) toast("warning", failedWords(failed));
        store.set(SEEN, Math.max(...failed.map((run) => run.last_event)));
    }
    opened = false;
});
