import type { Listing, Row } from "../../listing.ts";
import { goTime } from "../../time.ts";

/** A network as GET /networks gives it. */
export interface NetworkSummary {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6: boolean;
  readonly Internal: boolean;
  readonly Labels: Readonly<Record<string, string>> | null;
}

export const NETWORK_LISTING: Listing = {
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  columns: ["ID", "Name", "Driver", "Scope"],
  raw: [
    ["network_id", "ID"],
    ["name", "Name"],
    ["driver", "Driver"],
    ["scope", "Scope"],
  ],
};

export const SHORT_ID = 12;

/** What a row shows of a network: docker's fields. `truncate` is off with --no-trunc. */
export function networkRow(network: NetworkSummary, truncate: boolean): Row {
  const labels = network.Labels ?? {};
  return {
    CreatedAt: () => goTime(Date.parse(network.Created) / 1000),
    Driver: () => network.Driver,
    ID: () => (truncate ? network.Id.slice(0, SHORT_ID) : network.Id),
    IPv4: () => String(network.EnableIPv4 ?? true),
    IPv6: () => String(network.EnableIPv6),
    Internal: () => String(network.Internal),
    Label: (name) => labels[String(name)] ?? "",
    Labels: () =>
      Object.keys(labels)
        .toSorted()
        .map((key) => `${key}=${labels[key]}`)
        .join(","),
    Name: () => network.Name,
    Scope: () => network.Scope,
  };
}
