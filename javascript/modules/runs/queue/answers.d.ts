/** The responses of /train-lora/queue: lib_lora_train/ui/runs/queue/routes.py. */

export interface QueueState {
    on_hold: boolean;
    since: number;
    problem: string;
    /** Whether a training that fails puts the queue on hold. */
    after_failure: boolean;
    /** The name of the training that did, empty if none. */
    failed: string;
    /** The GPUs between which a queued run can choose, the webui's own last. */
    gpus: string[];
}
