import org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner;
import org.elasticsearch.http.HttpInfo;

/** One Elasticsearch node: Elastic HOST DIRECTORY. Prints its URL, and runs until it is killed. */
public class Elastic {
    public static void main(String[] args) throws Exception {
        ElasticsearchClusterRunner runner = new ElasticsearchClusterRunner();
        runner.onBuild((number, settings) -> {
            settings.put("network.host", args[0]);
            // Free ports of the system's choice.
            settings.put("http.port", "0");
            settings.put("transport.port", "0");
            settings.put("discovery.type", "single-node");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
            // The serial collector frees memory late, and the server would call that full.
            settings.put("indices.breaker.total.use_real_memory", "false");
            settings.put("cluster.max_shards_per_node", "10000");
            // What is not made is missing, and not made by a write.
            settings.put("action.auto_create_index", "false");
        });
        runner.build(ElasticsearchClusterRunner.newConfigs()
                .clusterName("lifeboat").numOfNode(1).disableESLogger().basePath(args[1]));
        runner.ensureYellow();
        HttpInfo http = runner.client().admin().cluster().prepareNodesInfo().get()
                .getNodes().get(0).getInfo(HttpInfo.class);
        System.out.println("http://" + http.getAddress().publishAddress());
        Thread.currentThread().join();
    }
}
