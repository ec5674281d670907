/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */

export interface FamilyFacts {
    name: string;
    problem: string;
    defaults: Record<string, unknown>|null;
    unused: Record<string, string>|null;
    base: string;
    detected: string;
    notes: string[];
}

export interface Difficulty {
    letter: string;
    description: string;
    lowest_rank: number;
    highest_rank: number;
    networks: string[];
    images_seen: number;
}

export interface Problem {
    level: string;
    text: string;
    files: string[];
}
