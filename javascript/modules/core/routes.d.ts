/** The responses of the routes below /train-lora/. A missing route has the type `never`, so that tsc reports it. */

import type {DescribingState, MaskingFacts, MaskPreview, TaggingFacts} from "../captions/answers";
import type {CaptionRoutes} from "../captions/routes";
import type {BlockPresets, ExportedFile, FileWeights, MarkedPlot, Plot, PlotList, PromptSets, TestFacts, WeightLists} from
    "../testing/answers";
import type {Card, FileMetadata, ToolPictures, ToolResult, ToolSchema} from "../tools/answers";
import type {BlockLists, DatasetOverview, Difficulties, ExportedText, Family, GoalPlan, ImportReport, LoraInfo, OwnPresets, Plan,
    PresetFacts, RegularizationState, TestBakeSettings} from "../train/answers";
import type {BasesResult} from "../train/bases/answers";
import type {KnowsDrawing, KnowsPlan, KnowsResult} from "../train/knows/answers";
import type {QueueState} from "../runs/queue/answers";
import type {Comparison, GridList, Suggestion} from "../runs/compare/answers";
import type {CacheSpace, Diagnosis, FinishedState, ImageDetail, RunNote, RunReport, RunSpace, TensorBoardState, TrashEntry, VariantsPlan} from "../runs/records";
import type {CardAnswer, PublishedFolder, PublishPlan} from "../tools/records";
import type {Busy, Continuation, Deletion, DrawingFacts, EnvironmentState, EpochAnswer, HostState, PlaceEntry, Places, RunDetails, RunSummary,
    Schema, StripFacts, TrashList, TryAnswer} from "./types";

export interface Options {
    method?: string;
    body?: unknown;
    /** No toast on failure. */
    quiet?: boolean;
    signal?: AbortSignal;
}

/** Requests with a body are POST, others GET. */
export type Answer<P extends string, O> = O extends {body: unknown} ? Posted<P> : Got<P>;

type Got<P extends string> =
    P extends "host" ? HostState :
    P extends "busy" ? {busy: Busy|null} :
    P extends "drawings" ? {queue: DrawingFacts[]} :
    P extends "schema" ? Schema :
    P extends "runs" ? RunSummary[] :
    P extends "queue" ? QueueState :
    P extends "tagging" ? TaggingFacts :
    P extends "tagging/describing" ? DescribingState :
    P extends "masks" ? MaskingFacts :
    P extends `masks/runs/${string}/preview` ? MaskPreview :
    P extends "tools" ? ToolSchema :
    P extends `tools/runs/${string}/pictures` ? ToolPictures :
    P extends `tools/runs/${string}` ? ToolResult :
    P extends `tools/card?${string}` ? Card :
    P extends `tools/metadata?${string}` ? FileMetadata :
    P extends `tools/publish?${string}` ? PublishPlan :
    P extends "regularization" ? RegularizationState :
    P extends "blocks" ? BlockLists :
    P extends "block-presets" ? BlockPresets :
    P extends "lora/files" ? {names: string[]} :
    P extends `lora/info?${string}` ? LoraInfo :
    P extends `family?${string}` ? Family :
    P extends "own-presets" ? OwnPresets :
    P extends "prompt-sets" ? PromptSets :
    P extends `prompt-sets/file?${string}` ? ExportedFile :
    P extends `presets?${string}` ? {presets: PresetFacts[]} :
    P extends `difficulties?${string}` ? Difficulties :
    P extends `runs/${string}/strip` ? StripFacts :
    P extends `runs/${string}/epochs` ? EpochAnswer :
    P extends `runs/${string}/test` ? TestFacts :
    P extends `runs/${string}/plots` ? PlotList :
    P extends `runs/${string}/blocks?${string}` ? FileWeights :
    P extends "bases" ? {id: string|null} :
    P extends `knows/runs/${string}/result` ? KnowsResult :
    P extends `knows/runs/${string}` ? KnowsDrawing :
    P extends "trash" ? TrashList :
    P extends "space" ? {runs: RunSpace[], caches: CacheSpace[]} :
    P extends "finished" ? FinishedState :
    P extends `runs/${string}/report` ? RunReport :
    P extends `runs/${string}/deletion` ? Deletion :
    P extends `runs/${string}/diagnosis/image?${string}` ? ImageDetail :
    P extends `runs/${string}/diagnosis?${string}` ? {mark: string, diagnosis: Diagnosis|null} :
    P extends `runs/${string}` ? RunDetails : never;

type Posted<P extends string> =
    P extends "environment/install" ? EnvironmentState :
    P extends "dataset/overview" ? DatasetOverview :
    P extends "dataset/trigger-word" ? {folder: string, word: string} :
    P extends "places" ? Places :
    P extends "places/complete" ? {entries: PlaceEntry[], more: boolean} :
    P extends "job/check" ? Plan :
    P extends "goal/plan" ? GoalPlan :
    P extends "goal/test" ? TestBakeSettings :
    P extends "prediction-yaml" ? {yaml: string, text: string} :
    P extends "import" ? ImportReport :
    P extends "prompt-sets"|"prompt-sets/rename"|"prompt-sets/remove" ? PromptSets :
    P extends "prompt-sets/import" ? PromptSets & {added: string[]} :
    P extends "export"|"own-presets/file" ? ExportedText :
    P extends "own-presets"|"own-presets/rename"|"own-presets/remove" ? OwnPresets :
    P extends "augment/preview" ? {pictures: string[]} :
    P extends "regularization"|"regularization/stop" ? RegularizationState :
    P extends "runs" ? {id: string, name: string} :
    P extends `bases/runs/${string}/result` ? BasesResult :
    P extends "bases/runs"|`bases/runs/${string}` ? {id: string} :
    P extends "knows" ? KnowsPlan :
    P extends "knows/newest" ? {id: string|null} :
    P extends "knows/runs"|`knows/runs/${string}` ? {id: string} :
    P extends "lora/test" ? {id: string} :
    P extends "tagging/first" ? {image: string} :
    P extends "tagging/describing/stop" ? DescribingState :
    P extends "tagging/runs"|`tagging/runs/${string}/continue`|"masks/runs"|`masks/runs/${string}/continue` ? {id: string} :
    P extends `drawings/${string}/cancel` ? {queue: DrawingFacts[]} :
    P extends "tools" ? {id: string} :
    P extends `tools/runs/${string}/pictures` ? ToolPictures :
    P extends "tools/card" ? Card :
    P extends "tools/metadata" ? FileMetadata :
    P extends "tools/preview" ? {kept: string[]} :
    P extends "tools/publish/card" ? CardAnswer :
    P extends "tools/publish/sidecar" ? {kept: string[]} :
    P extends "tools/publish/folder" ? PublishedFolder :
    P extends "tools/publish/open" ? object :
    P extends "tools/try" ? TryAnswer :
    P extends "plots/stop"|`runs/${string}/test-prompts` ? object :
    P extends "block-presets" ? BlockPresets :
    P extends `runs/${string}/plots/mark` ? MarkedPlot :
    P extends `runs/${string}/plots` ? Plot :
    P extends `runs/${string}/bake` ? {id: string, name: string} :
    P extends `runs/${string}/blocks` ? WeightLists :
    P extends `runs/${string}/try` ? TryAnswer :
    P extends `runs/${string}/strip` ? StripFacts :
    P extends `runs/${string}/epochs` ? {id: string} :
    P extends "queue/hold"|"queue/after-failure" ? QueueState :
    P extends `runs/${string}/queue/settings` ? {id: string, name: string} :
    P extends `runs/${string}/queue/${string}` ? QueueState :
    P extends `runs/${string}/note` ? RunNote :
    P extends `runs/${string}/delete`|`runs/${string}/keep-only`|"trash/restore" ? TrashEntry :
    P extends `runs/${string}/open` ? object :
    P extends "compare" ? Comparison :
    P extends "compare/grids"|"compare/draw" ? GridList :
    P extends "compare/stop" ? object :
    P extends "compare/suggestions" ? {suggestions: Suggestion[]} :
    P extends "compare/plan" ? VariantsPlan :
    P extends "compare/queue" ? {group: string, runs: string[]} :
    P extends "trash/delete" ? TrashList :
    P extends "space/delete-states" ? {freed: number, runs: RunSpace[], caches: CacheSpace[]} :
    P extends "finished"|"finished/cancel" ? FinishedState :
    P extends "tensorboard" ? TensorBoardState :
    P extends `runs/${string}/control` ? RunSummary & {control: string[]} :
    P extends `runs/${string}/continue/check` ? Continuation :
    P extends `runs/${string}/continue` ? Continuation & {id: string} :
    P extends `captions/intake/piece?${string}` ? {refused: string} :
    P extends "captions/intake/new-set" ? {folder: string} :
    P extends `captions/${infer R extends keyof CaptionRoutes}` ? CaptionRoutes[R] : never;
