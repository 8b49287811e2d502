import sys; sys.path.insert(0,'tests')
from api_help import *
import re
def test_it(cluster, migrated):
    with serving(cluster, migrated, rows=7) as s:
        H={"Accept":"text/html"}
        for p in ["/collections"]+[f"/collections/{l}{t}" for l in CATALOG for t in ("","/items","/items/1")]+["/collections/shelters/items?limit=2&risk_level=1","/collections/geohazard-points/items?limit=2&risk_level=1,null&lang=en","/collections/nope","/collections/shelters/items?zzz=1","/collections/shelters/items?q=&filter=&lang=en"]:
            r=s.client.get(p,headers=H)
            print(r.status_code,p,len(r.text),r.headers.get('content-type'))
            if r.status_code==500: print(r.text[:1500])
            if r.status_code in(200,400,404): open('/tmp/out_'+re.sub(r'\W','_',p)+'.html','w').write(r.text)
