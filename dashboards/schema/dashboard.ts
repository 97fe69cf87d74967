// What the dashboards of this repository may contain: Grafana's own types,
// combined so that the options of a panel are those of its type. npm run
// generate turns this file into grafana.schema.json.
import type { DataQuery, DataSourceRef } from '@grafana/schema';
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as pyroscope from '@grafana/schema/dist/esm/raw/composable/grafanapyroscope/dataquery/x/GrafanaPyroscopeDataQuery_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as tempo from '@grafana/schema/dist/esm/raw/composable/tempo/dataquery/x/TempoDataQuery_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// The package has no type for Prometheus, whose data source is a plugin.
interface PrometheusQuery extends Omit<DataQuery, 'datasource'> {
  datasource: DataSourceRef;
  expr: string;
  legendFormat?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
  interval?: string;
  editorMode?: 'code' | 'builder';
}

type Sourced<Q> = Omit<Q, 'datasource'> & { datasource: DataSourceRef };

type Target = PrometheusQuery | Sourced<tempo.TempoQuery> | Sourced<pyroscope.GrafanaPyroscopeDataQuery>;

interface PanelLink extends Partial<raw.DashboardLink> {
  title: string;
  url: string;
}

interface Panel<Type extends string, Options, Custom> extends Omit<raw.Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'links'> {
  type: Type;
  options: Options;
  links?: PanelLink[];
  targets: Target[];
  fieldConfig: Omit<raw.FieldConfigSource, 'defaults'> & {
    defaults: Omit<raw.FieldConfig, 'custom' | 'links'> & { custom?: Custom; links?: PanelLink[] };
  };
}

// The package has no options for the panels of traces and flame graphs.
type AnyPanel =
  | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Panel<'stat', stat.Options, Record<string, never>>
  | Panel<'bargauge', bargauge.Options, Record<string, never>>
  | Panel<'state-timeline', statetimeline.Options, statetimeline.FieldConfig>
  | Panel<'table', table.Options, Partial<table.FieldConfig>>
  | Panel<'traces', Record<string, never>, Record<string, never>>
  | Panel<'flamegraph', Record<string, never>, Record<string, never>>;

interface Row extends Omit<raw.RowPanel, 'panels'> {
  panels: never[]; // rows here are headings, none is folded
}

interface Variable extends Omit<raw.VariableModel, 'datasource'> {
  datasource?: DataSourceRef | null;
}

export interface Dashboard extends Omit<raw.Dashboard, 'panels' | 'templating'> {
  title: string;
  uid: string;
  panels: Array<AnyPanel | Row>;
  templating: { list: Variable[] };
}
