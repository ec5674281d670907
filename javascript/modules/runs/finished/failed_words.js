// @ts-check
/** What the page says about runs that failed while nobody looked. */

/** @typedef {{name: string, state: string, step?: number, last_event?: number}} Run */

const RECENT_SECONDS = 24 * 3600;

/**
 * @template {Run} R
 * @param {R[]} runs @param {number} seen the time of the last failure that was shown here, 0 for none
 * @param {number} now in seconds since the epoch
 * @returns {R[]} those that failed or were interrupted since, in a browser without a memory those of the last day
 */
export function failedSince(runs, seen, now) {
    const since = seen || now - RECENT_SECONDS;
    return runs.filter((run) => ["failed", "lost"].includes(run.state) && (run.last_event || 0) > since);
}

/** @param {Run[]} failed the newest first @returns {string} what happened, and what to do; empty without any */
export function failedWords(failed) {
    if (!failed.length) return "";
    const [{name, state, step}] = failed;
    if (failed.length > 1) {
        const others = failed.length === 2 ? "another run" : `${failed.length - 1} other runs`;
        return `${name} and ${others} failed or were interrupted. Runs shows why, and resumes them.`;
    }
    const what = state === "lost" ? "was interrupted, as by a power cut or a crash," : "failed";
    return `${name} ${what} ${step ? `at step ${step}` : "before its first step"}. Runs shows why, and resumes it.`;
}
