"""The Python side: run by `celery -A proj worker`. main.ts gives the URL of the Redis."""
import os

from celery import Celery, chain, signature

url = os.environ['REDIS_URL']
app = Celery('proj', broker=url, backend=url)


@app.task(name='py.words')
def words(text):
    """Called from Node."""
    return sorted(set(text.lower().split()))


@app.task(name='py.report')
def report(counts, title):
    """Ends a chain that came from Python, by Node."""
    return f'{title}: ' + ', '.join(f'{word} {count}' for word, count in counts)


def count_in_node(texts):
    """Called by `main.ts` in a Python program of its own: sends work to Node, and a chain there and back."""
    count = signature('node.count', queue='node', app=app)
    for text in texts:
        print(f'Python asked Node to count {text!r}:', count.clone(args=[text]).delay().get(timeout=30))
    there_and_back = chain(count.clone(args=[' '.join(texts)]), report.s('all together'))
    print('Python -> Node -> Python said', repr(there_and_back.delay().get(timeout=30)))
