/** Sends files to the server in pieces, a few files at a time. */

/** @typedef {import("./files.js").Incoming} Incoming */
/** @typedef {{number: number, path: string, start: number, total: number}} Piece */

const AT_ONCE = 3;
const ATTEMPTS = 4;

export class Upload {
    /**
     * @param {readonly Incoming[]} files
     * @param {{pieceBytes: number, send: (piece: Piece, content: Blob, signal: AbortSignal) => Promise<string>,
     *     lost: (error: unknown) => boolean, changed?: () => void, pause?: (milliseconds: number) => Promise<void>,
     *     now?: () => number}} options
     *     `send` returns why a file is refused, empty if it is not; `lost` says whether it is worth sending again
     */
    constructor(files, options) {
        this.files = files;
        this.options = options;
        this.bytes = files.reduce((sum, {file}) => sum + file.size, 0);
        this.sentBytes = 0;
        this.sentFiles = 0;
        this.next = 0;
        this.began = 0;
        this.aborting = new AbortController();
    }

    /** Send everything. @returns {Promise<boolean>} false if it was cancelled; rejects with the first error */
    async run() {
        this.began = this.now();
        try {
            await Promise.all(Array.from({length: Math.min(AT_ONCE, this.files.length)}, () => this.sendFiles()));
        } catch (error) {
            if (this.cancelled) return false;
            this.aborting.abort();
            throw error;
        }
        return !this.cancelled;
    }

    cancel() {
        this.aborting.abort();
    }

    get cancelled() {
        return this.aborting.signal.aborted;
    }

    now() {
        return this.options.now ? this.options.now() : Date.now();
    }

    /** @returns {number|null} seconds, null until it can be estimated */
    get secondsLeft() {
        const seconds = (this.now() - this.began) / 1000;
        // a file costs time even if it is empty: as much as some 20 kB
        const work = this.sentBytes + 20000 * this.sentFiles;
        const all = this.bytes + 20000 * this.files.length;
        return seconds < 1 || !work ? null : seconds * (all - work) / work;
    }

    async sendFiles() {
        while (this.next < this.files.length && !this.cancelled) {
            const number = this.next;
            this.next += 1;
            await this.sendOne(number);
        }
    }

    /** @param {number} number */
    async sendOne(number) {
        const {path, file} = this.files[number];
        let start = 0;
        do {
            const content = file.slice(start, start + this.options.pieceBytes);
            const refused = await this.sendPiece({number, path, start, total: file.size}, content);
            if (this.cancelled) return;
            if (refused) {
                this.sentBytes += file.size - start;
                break;
            }
            start += content.size;
            this.sentBytes += content.size;
            this.options.changed?.();
        } while (start < file.size);
        this.sentFiles += 1;
        this.options.changed?.();
    }

    /** @param {Piece} piece @param {Blob} content @returns {Promise<string>} */
    async sendPiece(piece, content) {
        for (let attempt = 1; ; attempt += 1) {
            try {
                return await this.options.send(piece, content, this.aborting.signal);
            } catch (error) {
                if (this.cancelled || attempt === ATTEMPTS || !this.options.lost(error)) throw error;
                await (this.options.pause || sleep)(500 * 2 ** attempt);
            }
        }
    }
}

/** @param {number} milliseconds @returns {Promise<void>} */
const sleep = (milliseconds) => new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
});
