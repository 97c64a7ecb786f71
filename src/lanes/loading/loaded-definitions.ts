/** What a host has loaded, as its replies tell, and what it is asked to load before its first task. */
import { type Definition, type WireDefinition, wireDefinition } from '../../task/definition/definition.ts';
import type { LaneTask } from '../lane.ts';
import type { HostMessage } from '../wire/protocol.ts';

/** What a host loads before its first task. */
export interface Preload {
  /** URLs. */
  readonly modules: readonly string[];
  readonly definitions: readonly Definition[];
}

const noPreload: Preload = { modules: [], definitions: [] };

export class LoadedDefinitions {
  /** By their index; the oldest first. */
  readonly byIndex: Map<number, WireDefinition> = new Map();
  #asked: { readonly inherited: readonly WireDefinition[]; readonly added: readonly WireDefinition[] } | undefined;

  /** Whether the host has loaded what the task runs. */
  has({ definition, carried }: LaneTask): boolean {
    return this.byIndex.has(definition.index) && (!carried || this.byIndex.has(carried.definition.index));
  }

  add(definitions: readonly WireDefinition[]): void {
    for (const each of definitions) this.byIndex.set(each.index, each);
  }

  /** Asks for what the predecessor of the host has loaded in any of its slots, and for the preload. Undefined if there is nothing to load. */
  warmMessage(predecessors: readonly LoadedDefinitions[] = [], preload: Preload = noPreload): HostMessage | undefined {
    const known = new Map(predecessors.flatMap(({ byIndex }) => [...byIndex]));
    const inherited = [...known.values()];
    const added = preload.definitions.filter(({ index }) => !known.has(index));
    if (inherited.length + added.length + preload.modules.length === 0) return undefined;
    this.#asked = { inherited, added };
    return {
      kind: 'warm',
      definitions: inherited.map(wireDefinition),
      preload: { modules: preload.modules, definitions: added.map(wireDefinition) },
    };
  }

  /**
   * The host has loaded what it was asked to load, except `missing`. Its predecessor may have loaded more by now.
   * @returns Whether something is missing that the predecessor had.
   */
  onWarmed(missing: readonly number[]): boolean {
    if (this.#asked === undefined) throw new Error('it has loaded what nobody asked for');
    const { inherited, added } = this.#asked;
    this.#asked = undefined;
    const isMissing = ({ index }: WireDefinition) => missing.includes(index);
    this.add([...inherited, ...added].filter((each) => !isMissing(each)));
    return inherited.some(isMissing);
  }
}
